"""What must make the checks of local network interfaces fail."""

from dataclasses import replace

from packets.mutations import Mutation, both, drop, in_file, node, rules
from testbed.lower.builder import mac_address

SITE = "topologies/lni.yaml"
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
    "lni.spoofing": Mutation(SITE, "pos eth1", change=NO_RULES, seen="has left, too"),
    "lni.broadcast": Mutation(SITE, "pos eth1", change=NO_RULES, seen="has left, too"),
}
