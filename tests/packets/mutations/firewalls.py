"""What must make the checks of firewalls fail."""

from dataclasses import replace

from packets.mutations import Change, Mutation, drop, node
from testbed.plan.model import Node, Route

SITE = "topologies/firewalls.yaml"


def ruleset(name: str, old: str, new: str) -> Change:
    """Return the change of a text in a firewall's ruleset."""

    def edit(entry: Node) -> Node:
        assert old in entry.nftables, entry.nftables
        return replace(entry, nftables=entry.nftables.replace(old, new))

    return node(name, edit)


def exchanged(edge: Node) -> Node:
    """The edge, which sends what is for one firewall's outer address to the other one."""
    to_fw1 = Route("100.67.0.24/32", via="100.67.0.8", dev="cust-fw1")
    to_fw2 = Route("100.67.0.8/32", via="100.67.0.24", dev="cust-fw2")
    return replace(edge, routes=(*edge.routes, to_fw1, to_fw2))


NAT_EXHAUSTED = Mutation(
    SITE,
    "fw1: address translation",
    change=ruleset(
        "fw1", "masquerade random", "meta l4proto { tcp, udp } masquerade to :2000-2003"
    ),
    seen="flows came out",
)

MUTATIONS = {
    "firewalls.passes-udp": Mutation(
        SITE, "fw1: UDP 443 to 443", change=drop("fw1", "udp dport 443"), seen="0 behind it"
    ),
    "firewalls.passes-tcp": Mutation(
        SITE,
        "fw2: TCP 65535 to 443",
        change=ruleset("fw2", "tcp sport 1025-65535", "tcp sport 1025-60999"),
        seen="0 behind it",
    ),
    "firewalls.passes-answers": Mutation(
        SITE,
        "fw1: UDP 443 to 443",
        change=drop("fw1", 'iifname "region" udp sport 443'),
        seen="0 behind it",
    ),
    "firewalls.passes-answers by-equal-ways": Mutation(
        "tests/packets/mixed.yaml",
        "wall: TCP 443 to",
        change=drop("wall", 'iifname "region" tcp sport 443'),
        seen="0 behind it",
    ),
    "firewalls.refuses-inbound": Mutation(
        SITE,
        "fw2: TCP",
        change=ruleset("fw2", "policy drop", "policy accept"),
        seen="packets inside",
    ),
    "firewalls.translates": NAT_EXHAUSTED,
    # Once more: the firewall still knows the flows of the check before.
    "firewalls.translates again": NAT_EXHAUSTED,
    "firewalls.symmetric": Mutation(
        SITE,
        "op.tunnel",
        change=node("region.edge", exchanged),
        seen="back by",
    ),
}
