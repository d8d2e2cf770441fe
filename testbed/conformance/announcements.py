"""What may and must be announced on a VIF, from the topology alone."""

from __future__ import annotations

from ipaddress import IPv4Network

from testbed.conformance.subjects import VifSubject
from testbed.topology.model import INTERNAL, Topology

SHORT, LONG = 1, 4  # AS path lengths of an OND's own /27 and of the others' (R1, R2)


def wanted_of(topology: Topology, vif: VifSubject) -> dict[IPv4Network, int]:
    """What the OND is to announce, with the length of the AS path."""
    outpost, device = vif.on.outpost, vif.on.lag.device
    drained = device in outpost.drained
    if vif.purpose == "local-gateway":
        return dict.fromkeys(topology.announced(outpost), LONG if drained else SHORT)
    lengths = {}
    for owner in (1, 2):
        short = not drained and (owner == device or owner in outpost.drained)
        lengths[outpost.service_link.own_prefix(owner)] = SHORT if short else LONG
    return lengths


def foreign_to(topology: Topology, vif: VifSubject) -> dict[IPv4Network, str]:
    """What must not be announced by the customer, with whose it is."""
    racks = topology.outposts.values()
    if vif.purpose == "local-gateway":
        infrastructure = {
            rack.service_link.infrastructure_cidr: f"the infrastructure subnet of {rack.name}"
            for rack in racks
        }
        return infrastructure | {INTERNAL: "the addresses inside AWS"}
    own = vif.on.outpost.service_link.vpc
    found = {segment.cidr: f"LAN {segment.name}" for segment in topology.site.segments}
    vpcs = (vpc for vpc in topology.vpcs.values() if vpc.name != own)
    found |= {vpc.cidr: f"VPC {vpc.name}" for vpc in vpcs}
    found |= {
        c: f"the local gateway of {rack.name}" for rack in racks for c in topology.announced(rack)
    }
    return found | {
        vif.on.outpost.service_link.infrastructure_cidr: "its own infrastructure subnet"
    }
