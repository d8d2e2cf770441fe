"""What must make the checks of local network interfaces fail."""

from dataclasses import replace

from packets.mutations import Mutation, both, drop, in_file, node, rules
from testbed.lower.builder import mac_address
from testbed.plan.model import Node

SITE = "topologies/lni.yaml"
ANNOUNCED = "topologies/service-address.yaml"
MAC = mac_address("pos-lan", "eth0")
SECURED = f"""\
table bridge mutation {{
  chain in {{
    type filter hook prerouting priority filter; policy accept;
    ether saddr {MAC} counter drop
  }}
}}
"""
NO_RULES = node("srv.lni", lambda entry: replace(entry, nftables=""))


def without_announcer(entry: Node) -> Node:
    """The instance without the program that announces service addresses."""
    kept = tuple(process for process in entry.processes if process.name != "layer2")
    return replace(entry, processes=kept)


MUTATIONS = {
    "lni.address": Mutation(
        SITE,
        "pos eth1",
        change=both(
            drop("site.dhcp-shop", "udp dport 67", hook="input"),
            in_file("pos", "dhcp-eth1.sh", "set -u\n", "set -u # begun anew\n"),
        ),
        seen="no lease",
    ),
    "lni.gateway": Mutation(SITE, "pos eth1", change=rules("site.lan-shop", SECURED)),
    "lni.service-address": Mutation(
        ANNOUNCED,
        "shop (192.168.70.200)",
        change=both(*(drop(n, "udp dport 7946", hook="input") for n in ("n1", "n2"))),
        seen="n1 and n2 answer",
        settle_s=10.0,
    ),
    "lni.service-address mute": Mutation(
        ANNOUNCED,
        "shop (192.168.70.200)",
        change=both(*(node(n, without_announcer) for n in ("n1", "n2"))),
        seen="nobody answers",
    ),
    "lni.service-remembered": Mutation(
        "tests/packets/black-hole.yaml",
        "shop (192.168.70.200)",
        seen="a black hole: site.lan-plant forgets MAC addresses after 300 s",
    ),
    "lni.spoofing": Mutation(SITE, "pos eth1", change=NO_RULES, seen="has left, too"),
    "lni.broadcast": Mutation(SITE, "pos eth1", change=NO_RULES, seen="has left, too"),
}
