"""The internet gateway of a VPC: Elastic IPs, one to one, both ways.

The translation is looked up by hash, so its cost does not grow with the
number of addresses. What has no Elastic IP gets nothing through, and a
connection ends with the association that it was made by, as if the
translation had no memory. MTU 1500 (facts: E mtu).
"""

from __future__ import annotations

from collections.abc import Iterable

from testbed.lower import inner, names
from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.vpc import gateways
from testbed.lower.vpc.router import VpcRouter
from testbed.topology.model import INTERNAL, Target, Topology

NUMBER = 0
PORT = "igw"

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
    counter drop
  }}
  chain to_vpc {{
    ct direction original ip daddr . ct original ip daddr @associations return
    ct direction reply ip daddr . ct reply ip daddr @associations return
    counter drop
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    ip daddr {internal} counter drop
  }}
}}
"""


def attach(draft: Draft, topology: Topology, router: VpcRouter) -> None:
    """Add the VPC's internet gateway, if it has one, between its router and the internet."""
    vpc = router.vpc
    if not vpc.internet_gateway:
        return
    title = f"internet gateway of VPC {vpc.name}"
    node = draft.router(names.internet_gateway(vpc.name), "internet-gateway", "region", title)
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
