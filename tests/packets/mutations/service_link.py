"""What must make the checks of the service link fail."""

from dataclasses import replace

from packets.mutations import Change, Fault, Mutation, both, drop, interface, node
from testbed.lower.rack.service_link import private_key, public_key
from testbed.plan.model import Netem, Node, Route, WireGuard

SITE = "topologies/two-racks.yaml"


def narrow(*devices: str) -> Change:
    """The devices' links to the Region have an MTU of 1400."""
    return both(*(interface(name, "region", mtu=1400) for name in devices))


def slow(rate_mbps: float, delay_ms: float) -> Change:
    """All links of one site to the Region at another rate and delay."""
    netem = Netem(delay_ms=delay_ms, rate_mbps=rate_mbps, limit=2000)
    return both(*(interface(name, "region", netem=netem) for name in ("cnd1", "cnd2")))


def in_clear(entry: Node) -> Node:
    """The rack's router, which sends what is for the tunnels to the customer as it is."""
    route = Route("100.98.255.254/32", via="100.99.0.16", dev="ond1", metric=1)
    return replace(entry, routes=(*entry.routes, route))


def lets_out(entry: Node) -> Node:
    """An OND that passes on to the customer what belongs into the tunnels."""
    route = Route("100.98.255.254/32", via="198.18.0.1", dev="bond0.1001", table=1001)
    return replace(entry, routes=(*entry.routes, route))


def other_key(entry: Node) -> Node:
    """A rack that expects another key of an anchor."""
    old = entry.interface("wg1")
    assert isinstance(old.device, WireGuard)
    peer = replace(old.device.peers[0], public_key=public_key(private_key("somebody else")))
    new = replace(old, device=replace(old.device, peers=(peer,)))
    return replace(entry, interfaces=tuple(new if i is old else i for i in entry.interfaces))


def by_ond2(entry: Node) -> Node:
    """A device that sends what is for OND 1's half to the other device."""
    route = Route("10.200.0.0/27", via="100.64.0.1", dev="sl_cnd2", table=1001, metric=1)
    return replace(entry, routes=(*entry.routes, route))


def unguarded(entry: Node) -> Node:
    """A server without its firewall."""
    return replace(entry, nftables="")


MUTATIONS = {
    "service-link.underlay-mtu": Mutation(
        SITE, "op-a.host1 to anchor1", change=narrow("cnd1", "cnd2"), seen="MTU 1400"
    ),
    "service-link.underlay-mtu dropped": Mutation(
        SITE,
        "op-b.host1 to anchor1",
        change=both(drop("cnd3", "udp dport 443"), drop("cnd4", "udp dport 443")),
        seen="lost",
    ),
    "service-link.handshake": Mutation(
        SITE,
        "op-a.tunnel1",
        change=node("op-a.sl", other_key),
        seen="no handshake yet",
    ),
    "service-link.handshake cut": Mutation(
        SITE,
        "op-a.tunnel2",
        faults=(Fault("service-link-cut", "op-a", {"tunnel": 2}),),
        seen="nothing comes back",
    ),
    "service-link.region-reachable": Mutation(
        SITE,
        "op-b.host1",
        change=both(drop("cnd3", "tcp dport 443"), drop("cnd4", "tcp dport 443")),
        seen="timed out",
    ),
    "service-link.management": Mutation(
        SITE, "TCP 443", faults=(Fault("region-api-down", "op-a"),), seen="timed out"
    ),
    "service-link.rtt": Mutation(
        SITE, "op-a.tunnel1", change=slow(1000, 190), seen="ms", settle_s=1.0
    ),
    "service-link.inner-mtu": Mutation(
        SITE, "VPC app on op-b", change=interface("op-b.vpc-app", "sl", mtu=1250), seen="mtu"
    ),
    "service-link.throughput": Mutation(SITE, "op-a", change=slow(4, 10), seen="Mbit/s"),
    "service-link.encrypted": Mutation(
        SITE,
        "cnd1",
        change=both(node("op-a.sl", in_clear), node("op-a.ond1", lets_out)),
        seen="UDP",
    ),
    "service-link.two-paths": Mutation(
        SITE, "op-a.ond1 bond0.1001: 10.200.0.10", change=node("cnd1", by_ond2), seen="0 packets"
    ),
    "service-link.initiated-from-the-outpost": Mutation(
        SITE, "anchor2 to op-a.host2", change=node("op-a.host2", unguarded), seen="refused"
    ),
    "service-link.redundancy": Mutation(
        SITE,
        "op-a: tunnel 2 alone",
        faults=(Fault("service-link-cut", "op-a", {"tunnel": 2, "name": "broken"}),),
        only=("op-a",),
    ),
}
