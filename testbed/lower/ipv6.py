"""IPv6 on links inside AWS: what nodes need for it, next hops, routes."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

from testbed.lower.builder import NodeDraft, mac_address
from testbed.plan.model import Neighbor, Route

DEFAULT = IPv6Network("::/0")
UPPER, LOWER = IPv6Address("fe80::1"), IPv6Address("fe80::2")
"""The ends of a link: the one towards the Region or the internet, the other one."""
HOST_SYSCTLS = {
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/router_solicitations": "0",
    "net/ipv6/conf/default/addr_gen_mode": "1",  # no link-local addresses
    "net/ipv6/conf/all/keep_addr_on_down": "1",
    "net/ipv6/conf/default/keep_addr_on_down": "1",
    "net/ipv6/icmp/ratelimit": "0",
}
ROUTER_SYSCTLS = HOST_SYSCTLS | {
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/forwarding": "1",
    "net/ipv6/fwmark_reflect": "1",
}

NextHop = tuple[IPv6Address, str]


def towards(node: NodeDraft, device: str, peer: tuple[str, str], *, up: bool) -> NextHop:
    """The next hop over a link; its neighbour entry is added to the node."""
    address = UPPER if up else LOWER
    entry = Neighbor(device, str(address), mac_address(*peer))
    if entry not in node.neighbors:
        node.neighbors.append(entry)
    return address, device


def route(
    node: NodeDraft, destination: IPv6Network | IPv6Address, hop: NextHop | None, table: int = 254
) -> None:
    """Add a route; without a next hop it is a blackhole."""
    text = str(IPv6Network(destination))
    if hop is None:
        node.routes.append(Route(text, type="blackhole", table=table))
    else:
        node.routes.append(Route(text, via=str(hop[0]), dev=hop[1], table=table))
