"""Where the packets of a service link go by: the places to send them from and to look for them."""

from __future__ import annotations

from ipaddress import IPv4Address

from testbed.conformance.probing import exists
from testbed.conformance.rack_subjects import OutpostSubject, TunnelSubject
from testbed.conformance.site import Site
from testbed.conformance.subjects import UplinkSubject
from testbed.lower import names
from testbed.lower.rack import inner
from testbed.plan.model import Place, Veth
from testbed.topology.model import Outpost, Rack, Topology


def anchor_place(site: Site, tunnel: TunnelSubject) -> Place:
    """The node of the tunnel's anchor, and its interface towards the customer."""
    outpost = tunnel.outpost
    owner = outpost if outpost.private_anchors else None
    anchor = site.topology.anchors(outpost)[tunnel.index]
    return names.anchor(owner, anchor), "eth0" if owner else "edge"


def edge_end(uplink: UplinkSubject) -> Place:
    """The Region's end of a link to it: that of the host's interface, where a device is real."""
    return names.EDGE, names.customer_port(uplink.uplink)


def uplinks_of(site: Site, outpost: Rack) -> list[Place]:
    """The customer's interfaces that the Outpost's service link goes by, from the rack outwards."""
    lags = OutpostSubject(outpost).lags
    devices = [lag.device for lag in lags]
    places = [(lag.device, lag.service_link.device_interface) for lag in lags]
    for name in dict.fromkeys(devices):
        if not exists(site, name):
            continue
        for interface in site.plan.node(name).interfaces:
            if interface.master == names.VRF_SERVICE_LINK and (name, interface.name) not in places:
                places.append((name, interface.name))
    for wall in site.topology.site.firewalls:
        ports = [names.inside_port(u.device) for u in wall.inside if u.device in devices]
        places += [(wall.name, port) for port in (*ports, *([names.REGION_PORT] if ports else ()))]
    return [place for place in places if exists(site, place[0])]


def on_the_way(site: Site, tunnel: TunnelSubject) -> list[Place]:
    """All places between the tunnel's server and its anchor, from the server to the anchor."""
    outpost, far = tunnel.outpost, anchor_place(site, tunnel)
    router = names.service_link(outpost)
    places: list[Place] = [(tunnel.host, "eth0")]
    for lag in OutpostSubject(outpost).lags:
        if not lag.lag.index:
            places.append((router, f"ond{lag.lag.device}"))
        places.append((lag.ond, lag.service_link.ond_interface))
    places += uplinks_of(site, outpost)
    device = site.plan.node(far[0]).interface(far[1]).device
    if isinstance(device, Veth):
        places.append((device.peer_node, device.peer))
    return [*places, far]


def overlays(topology: Topology, outpost: Outpost) -> list[tuple[str, Place, IPv4Address]]:
    """Of each VPC on the Outpost: name, its interface into the service link, the Region's end."""
    found = []
    for vpc in topology.vpcs.values():
        if any(subnet.outpost == outpost.name for subnet in vpc.subnets):
            place = (names.outpost_vpc(outpost, vpc.name), names.OVERLAY_PORT)
            far = inner.overlay_link(outpost, vpc)[1].ip
            found.append((f"VPC {vpc.name} on {outpost.name}", place, far))
    return found
