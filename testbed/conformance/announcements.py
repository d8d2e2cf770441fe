"""What may and must be announced on a VIF, from the topology alone."""

from __future__ import annotations

from ipaddress import IPv4Network

from testbed.conformance.rack_subjects import VifSubject
from testbed.conformance.site_subjects import area
from testbed.topology.model import BACKUP_PATH, INTERNAL, Segment, Topology


def wanted_of(topology: Topology, vif: VifSubject) -> dict[IPv4Network, int]:
    """What the OND is to announce, with the length of the AS path (facts: R1, R2)."""
    rack, device = vif.on.outpost, vif.on.lag.device
    if vif.domain is not None:
        length = BACKUP_PATH if device in rack.drained else 1
        return dict.fromkeys(topology.announced(rack, vif.domain), length)
    link = rack.service_link
    return {prefix: link.path_length(device, prefix, rack.drained) for prefix in link.announced}


def foreign_to(topology: Topology, vif: VifSubject) -> dict[IPv4Network, str]:
    """What must not be announced by the customer, with whose it is."""
    racks = topology.racks.values()
    if vif.purpose == "local-gateway":
        infrastructure = {
            cidr: f"the infrastructure subnet of {rack.name}"
            for rack in racks
            for cidr in rack.service_link.infrastructure_cidrs
        }
        return infrastructure | {INTERNAL: "the addresses inside AWS"}
    own = vif.on.outpost.service_link
    found = {segment.cidr: f"LAN {segment.name}" for segment in topology.site.segments}
    vpcs = (vpc for vpc in topology.vpcs.values() if vpc.name != own.vpc)
    found |= {vpc.cidr: f"VPC {vpc.name}" for vpc in vpcs}
    found |= {
        cidr: f"the {domain.title(rack.name)}"
        for rack, domain in topology.gateways
        for cidr in topology.announced(rack, domain)
    }
    return found | dict.fromkeys(own.infrastructure_cidrs, "its own infrastructure subnet")


def segments_behind(topology: Topology, vif: VifSubject) -> list[Segment]:
    """The LAN segments that the VIF's VRF of the customer device reaches."""
    near = area(topology, vif.vrf, vif.on.device)
    return [
        segment
        for segment in topology.site.segments
        if segment.vrf == vif.vrf and near & {device for device, _ in segment.routers}
    ]
