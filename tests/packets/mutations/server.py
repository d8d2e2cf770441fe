"""What must make the checks of Outposts servers fail."""

from dataclasses import replace

from packets.mutations import Mutation, both, drop, in_file, interface, node
from testbed.plan.model import Interface, Node, WireGuard

SITE = "topologies/lni.yaml"
STRANGE_KEY = "c3RyYW5nZXIncyBrZXksIG9mIDMyIGJ5dGVzIGhlcmU="


def strange_key(entry: Node) -> Node:
    """The server with a key for its primary connection that AWS has not issued."""

    def other(one: Interface) -> Interface:
        if one.name != "wg1" or not isinstance(one.device, WireGuard):
            return one
        return replace(one, device=replace(one.device, private_key=STRANGE_KEY))

    return replace(entry, interfaces=tuple(map(other, entry.interfaces)))


MUTATIONS = {
    "server.port": Mutation(
        "tests/packets/lni-port.yaml", "srv LNI port", seen="auto-negotiation is on"
    ),
    "server.links": Mutation(
        SITE,
        "site.lan-transit sl-srv",
        change=interface("site.lan-transit", "sl-srv", up=False),
        seen="administratively down",
    ),
    "server.links lni": Mutation("tests/packets/lni-port.yaml", "srv.lni lan", seen="no carrier"),
    "server.address": Mutation(
        SITE,
        "srv.sl eth0",
        change=both(
            drop("site.dhcp-transit", "udp dport 67", hook="input"),
            in_file("srv.sl", "dhcp-eth0.sh", "set -u\n", "set -u # begun anew\n"),
        ),
        seen="no lease",
    ),
    "server.gateway": Mutation(
        SITE,
        "srv.sl eth0",
        change=drop("cnd1", "ip daddr 192.168.51.2 icmp type echo-request", hook="input"),
        seen="no reply",
    ),
    "server.mtu": Mutation(SITE, "srv to anchor1", change=interface("cnd1", "region", mtu=1400)),
    "server.resolve": Mutation(
        SITE,
        "outposts.us-west-2.amazonaws.com",
        change=drop("cnd1", "udp dport 53"),
    ),
    "server.reachability": Mutation(
        SITE, "srv to 198.51.100.30:443", change=drop("cnd1", "tcp dport 443")
    ),
    "server.passes-udp": Mutation(
        SITE,
        "UDP 443",
        change=drop("cnd1", "udp dport 443"),
        seen="nothing arrived",
    ),
    "server.authorised": Mutation(
        SITE, "srv primary peer", change=node("srv.sl", strange_key), settle_s=200.0
    ),
    "server.connected": Mutation(
        SITE,
        "srv ConnectedStatus",
        change=drop("region.outposts-api", "tcp dport 443", hook="input"),
        seen="not connected",
        settle_s=200.0,
    ),
}
