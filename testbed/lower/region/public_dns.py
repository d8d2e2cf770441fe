"""The internet's DNS: one resolver that everybody may ask, at a public address of the Region's.

There only where a segment has a DHCP server or an Outpost is a server: those ask it.
"""

from __future__ import annotations

from testbed.lower import dnsmasq, names, region
from testbed.lower.builder import Draft
from testbed.lower.public_names import outposts_name, public_names
from testbed.plan.roles import REGION, Role
from testbed.topology.model import Topology

PORT = "public-dns"


def lower(draft: Draft, topology: Topology) -> None:
    """Add the resolver to the Region's edge, if somebody may ask it."""
    if not topology.servers and not any(s.dhcp for s in topology.site.segments):
        return
    address = topology.region.public_resolver
    title = f"public DNS resolver ({address})"
    node = draft.host(names.PUBLIC_DNS, Role.RESOLVER, REGION, title)
    gateway = topology.region.public_cidr.network_address + 1
    edge = draft.nodes[names.EDGE]
    region.attach_public(draft, edge, node, PORT, address, gateway)
    known = public_names(topology, None)
    known[outposts_name(topology)] = topology.region.outposts_address
    dnsmasq.configure(draft, node, address, known)
