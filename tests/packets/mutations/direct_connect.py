"""What must make the checks of Direct Connect fail."""

from dataclasses import replace

from packets.mutations import (
    Mutation,
    drop,
    in_file,
    in_protocol,
    interface,
    node,
    refuses_pings,
)
from testbed.plan.model import Node, Route

SITE = "topologies/private-connectivity.yaml"
DX1 = "protocol bgp dx_dx1_private {\n"
TO_DX1 = "      if net = 10.9.0.0/24 then {\n        accept;\n      }\n"
SECOND_HALF = "      if net = 10.200.0.32/27 then {\n        accept;\n      }\n"


def cut_off(entry: Node) -> Node:
    """A device without a way to the endpoint VPC."""
    route = Route("10.9.0.0/24", type="unreachable", table=1001, metric=1)
    return replace(entry, routes=(*entry.routes, route))


MUTATIONS = {
    "direct-connect.link": Mutation(
        SITE, "cnd1 dx-dx1.101", change=interface("cnd1", "dx-dx1.101", up=False), seen="down"
    ),
    "direct-connect.peer-answers": Mutation(
        SITE, "cnd1 dx-dx1.101", change=refuses_pings("cnd1", "100.67.0.1"), seen="no reply"
    ),
    "direct-connect.prefix-limit": Mutation(
        SITE,
        "region.vgw-link dx-dx1",
        change=in_protocol("region.vgw-link", "dx_dx1", "receive limit 100", "receive limit 1"),
        settle_s=3.0,
    ),
    "direct-connect.established": Mutation(
        SITE, "cnd1 dx-dx1.101", change=in_file("cnd1", "bird.conf", DX1, f"{DX1}  disabled;\n")
    ),
    "direct-connect.received": Mutation(
        SITE,
        "dx1 private virtual interface, VLAN 101: 10.9.0.0/24",
        change=in_protocol("region.vgw-link", "dx_dx1", TO_DX1, ""),
        seen="no prefixes",
    ),
    "direct-connect.advertised": Mutation(
        SITE,
        "dx1 private virtual interface, VLAN 101: 10.200.0.32/27",
        change=in_protocol("cnd1", "dx_dx1_private", SECOND_HALF, ""),
        seen="10.200.0.0/27",
    ),
    "direct-connect.endpoint-filters": Mutation(
        SITE,
        "region.vpc-link: UDP 443 to 443, into region.vpc-link",
        change=drop("region.vpc-link", "ip daddr 10.9.0.0/25 udp dport 443"),
        seen="none at",
    ),
    "direct-connect.endpoint-filters stateless": Mutation(
        SITE,
        "region.vpc-link: TCP 40001 to 443, answers out of",
        change=drop("region.vpc-link", "ip saddr 10.9.0.0/25 tcp sport 443"),
        seen="none at",
    ),
    "direct-connect.all-paths": Mutation(SITE, "cnd2: anchor1", change=node("cnd2", cut_off)),
}
