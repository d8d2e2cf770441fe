"""The internet gateway of a VPC: Elastic IPs, one to one, both ways.

The translation is looked up by hash, so its cost does not grow with the
number of addresses. What has no Elastic IP gets nothing through, and a
connection ends with the association that it was made by, as if the
translation had no memory. MTU 1500 (facts: EC2 mtu).
"""

from __future__ import annotations

from collections.abc import Iterable

from testbed.lower import ipv6, names
from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.rack import inner
from testbed.lower.vpc import gateways
from testbed.lower.vpc import ipv6 as vpc_ipv6
from testbed.lower.vpc.router import VpcRouter
from testbed.plan.roles import REGION, Role
from testbed.topology.model import INTERNAL, Target, Topology

NUMBER, EGRESS_ONLY_NUMBER = 0, 2
PORT, EGRESS_ONLY_PORT = "igw", "eigw"
EGRESS_ONLY_TARGET = Target("egress-only-internet-gateway")

RULESET = """\
# {title}
table ip igw {{
  map elastic_ips {{
    type ipv4_addr : ipv4_addr
    {outward}
  }}
  map private_addresses {{
    type ipv4_addr : ipv4_addr
    {inward}
  }}
  set associations {{
    type ipv4_addr . ipv4_addr
    {pairs}
  }}
  chain inward {{
    type nat hook prerouting priority dstnat; policy accept;
    dnat to ip daddr map @private_addresses
  }}
  chain outward {{
    type nat hook postrouting priority srcnat; policy accept;
    iifname "vpc" snat to ip saddr map @elastic_ips
  }}
  chain associated {{
    type filter hook postrouting priority srcnat + 10; policy accept;
    iifname "vpc" jump from_vpc
    oifname "vpc" jump to_vpc
  }}
  chain from_vpc {{
    ct direction original ct original ip saddr . ip saddr @associations return
    ct direction reply ct reply ip saddr . ip saddr @associations return
    counter drop comment "no Elastic IP address stands for it"
  }}
  chain to_vpc {{
    ct direction original ip daddr . ct original ip daddr @associations return
    ct direction reply ip daddr . ct reply ip daddr @associations return
    counter drop comment "no Elastic IP address stands for it"
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    ip daddr {internal} counter drop comment "the internet gateway sends nothing to this address"
  }}
}}
"""


EGRESS_ONLY = """\
# {title}
table ip6 eigw {{
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "vpc" accept
    counter drop comment "nobody outside opens a connection through an egress-only gateway"
  }}
}}
"""


def attach(draft: Draft, topology: Topology, router: VpcRouter) -> None:
    """Add the VPC's internet gateway, if it has one, between its router and the internet."""
    vpc = router.vpc
    if not vpc.internet_gateway:
        return
    title = f"internet gateway of VPC {vpc.name}"
    node = draft.router(names.internet_gateway(vpc.name), Role.INTERNET_GATEWAY, REGION, title)
    gateways.connect(draft, router, NUMBER, PORT, (node, "vpc"), Target("internet-gateway"))
    internet = draft.nodes[names.INTERNET]
    far = f"igw-{vpc.number}"
    far_end, own_end = inner.internet_link(vpc)
    draft.cable((internet, far), (node, "internet"), addresses=(far_end, own_end))
    node.route("0.0.0.0/0", via=far_end.ip, dev="internet")
    pairs = [
        (str(private), str(public))
        for interface in topology.network_interfaces.values()
        if interface.vpc == vpc.name and topology.attached(interface)
        for private, public in interface.elastic_ips
    ]
    for _, public in pairs:
        internet.route(public, via=own_end.ip, dev=far)
    _translate(node, pairs)
    _add_ipv6(draft, router, node, far, NUMBER)


def attach_egress_only(draft: Draft, router: VpcRouter) -> None:
    """Add the VPC's egress-only internet gateway: IPv6 out, and what answers it."""
    vpc = router.vpc
    if not vpc.egress_only_internet_gateway:
        return
    title = f"egress-only internet gateway of VPC {vpc.name}"
    name = names.egress_only_internet_gateway(vpc.name)
    node = draft.router(name, Role.EGRESS_ONLY_GATEWAY, REGION, title)
    end = (node, "vpc")
    gateways.connect(draft, router, EGRESS_ONLY_NUMBER, EGRESS_ONLY_PORT, end, EGRESS_ONLY_TARGET)
    far = f"eigw-{vpc.number}"
    draft.cable((draft.nodes[names.INTERNET], far), (node, "internet"))
    node.nftables = EGRESS_ONLY.format(title=title)
    _add_ipv6(draft, router, node, far, EGRESS_ONLY_NUMBER)


def _add_ipv6(draft: Draft, router: VpcRouter, node: NodeDraft, far: str, number: int) -> None:
    """IPv6 addresses are public: routed, subnet by subnet to the gateway that they use."""
    if router.vpc.ipv6_cidr is None:
        return
    egress_only = number == EGRESS_ONLY_NUMBER
    port = EGRESS_ONLY_PORT if egress_only else PORT
    vpc_ipv6.connect_gateway(router, (node, "vpc"), port, gateways.FIRST_MARK + number)
    internet = draft.nodes[names.INTERNET]
    ipv6.route(node, ipv6.DEFAULT, ipv6.towards(node, "internet", (internet.name, far), up=True))
    down = ipv6.towards(internet, far, (node.name, "internet"), up=False)
    for subnet in router.vpc.subnets:
        targets = {route.target for route in router.vpc.table_of(subnet.name).ipv6_routes}
        if subnet.ipv6_cidr is not None and (EGRESS_ONLY_TARGET in targets) == egress_only:
            ipv6.route(internet, subnet.ipv6_cidr, down)


def _translate(node: NodeDraft, pairs: list[tuple[str, str]]) -> None:
    node.nftables = RULESET.format(
        title=node.title,
        outward=_elements(f"{private} : {public}" for private, public in pairs),
        inward=_elements(f"{public} : {private}" for private, public in pairs),
        pairs=_elements(f"{private} . {public}" for private, public in pairs),
        internal=INTERNAL,
    )


def _elements(items: Iterable[str]) -> str:
    found = ", ".join(items)
    return f"elements = {{ {found} }}" if found else ""
