"""What must make the checks of Direct Connect fail."""

from packets.mutations import Change, Mutation, both, drop, in_file, interface, rules

SITE = "topologies/private-connectivity.yaml"
DX1 = "protocol bgp dx_dx1_private {\n"


def refuses_pings(name: str, peer: str) -> Change:
    """A node that does not answer a peer's pings."""
    hook = "type filter hook input priority -10; policy accept;"
    rule = f"ip saddr {peer} icmp type echo-request drop"
    return rules(name, f"table inet mutation {{ chain input {{ {hook}\n{rule}\n}}\n}}")


MUTATIONS = {
    "direct-connect.link": Mutation(
        SITE, "cnd1 dx-dx1.101", change=interface("cnd1", "dx-dx1.101", up=False), seen="down"
    ),
    "direct-connect.established": Mutation(
        SITE, "cnd1 dx-dx1.101", change=in_file("cnd1", "bird.conf", DX1, f"{DX1}  disabled;\n")
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
}
__all__ = ["both", "refuses_pings"]
