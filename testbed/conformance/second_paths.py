"""Which flows have a path left while something of the customer's network is gone.

What is connected is taken to reach each other: routing there is the customer's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from testbed.conformance.rack_subjects import LagSubject
from testbed.conformance.streams import Flow
from testbed.conformance.ways import Ways
from testbed.lower import names
from testbed.topology.model import Rack, Topology, Uplink


def without_node(topology: Topology, name: str) -> Topology:
    """What is left without one of the customer's devices or firewalls and all that ends at it."""

    def others(uplinks: Iterable[Uplink]) -> tuple[Uplink, ...]:
        return tuple(uplink for uplink in uplinks if uplink.device != name)

    site = topology.site
    walls = (wall for wall in site.firewalls if wall.name != name)
    left = replace(
        site,
        devices=tuple(device for device in site.devices if device.name != name),
        links=tuple(link for link in site.links if name not in link.devices),
        region_uplinks=others(site.region_uplinks),
        internet_uplinks=others(site.internet_uplinks),
        wan=site.wan and replace(site.wan, uplinks=others(site.wan.uplinks)),
        segments=tuple(
            replace(segment, routers=tuple(r for r in segment.routers if r[0] != name))
            for segment in site.segments
        ),
        direct_connects=tuple(c for c in site.direct_connects if c.device != name),
        firewalls=tuple(replace(wall, inside=others(wall.inside)) for wall in walls),
    )
    outposts = {
        key: replace(one, lags=tuple(lag for lag in one.lags if lag.customer_device != name))
        for key, one in topology.racks.items()
    }
    return replace(topology, site=left, outposts={**topology.outposts, **outposts})


def without_uplink(topology: Topology, uplink: Uplink) -> Topology:
    """What is left without a link to the Region's edge; without its own, a firewall is no way."""
    site = topology.site
    straight = tuple(other for other in site.region_uplinks if other != uplink)
    walls = tuple(wall for wall in site.firewalls if wall.outside != uplink)
    return replace(topology, site=replace(site, region_uplinks=straight, firewalls=walls))


def without_lag(topology: Topology, gone: LagSubject) -> Topology:
    """What is left without a LAG of an Outpost's."""
    return _without(topology, gone.outpost, {gone.lag.number})


def without_networking_device(topology: Topology, lag: LagSubject) -> Topology:
    """What is left without the networking device of a LAG, with all its LAGs."""
    gone = {other.number for other in lag.outpost.lags_of(lag.lag.device)}
    return _without(topology, lag.outpost, gone)


def _without(topology: Topology, rack: Rack, gone: set[int]) -> Topology:
    lags = tuple(lag for lag in rack.lags if lag.number not in gone)
    left = {rack.name: replace(rack, lags=lags)}
    return replace(topology, outposts={**topology.outposts, **left})


def kept(left: Topology) -> Callable[[Flow], bool]:
    """Whether a flow still has its way in what is left of a topology."""
    ways = Ways(left)

    def concerns(flow: Flow) -> bool:
        if ways.way(flow.source, flow.destination, flow.way.to) != flow.way:
            return False
        places = {flow.source.place, flow.destination.place} - {None}
        outposts = [rack for name, rack in left.racks.items() if name in places]
        return flow.way.kind != "service-link" or all(ways_out(left, one) for one in outposts)

    return concerns


def ways_out(topology: Topology, outpost: Rack) -> set[str]:
    """The devices that an Outpost reaches (VRF sl) and its service link leaves the site by."""
    site, vpc = topology.site, outpost.service_link.vpc
    far = topology.vpcs[vpc].cidr if vpc else topology.region.public_cidr
    leaving = {
        connection.device
        for connection in site.direct_connects
        for vif in connection.virtual_interfaces
        if vif.vrf == names.VRF_SERVICE_LINK and far in vif.prefixes
    }
    if not vpc:
        inside = (uplink for wall in site.firewalls for uplink in wall.inside)
        leaving |= {uplink.device for uplink in (*site.region_uplinks, *inside)}
    return leaving & _reached(topology, outpost)


def _reached(topology: Topology, outpost: Rack) -> set[str]:
    """The devices that an Outpost is connected to, by its LAGs and by links in VRF sl."""
    links = [set(e.devices) for e in topology.site.links if e.vrf == names.VRF_SERVICE_LINK]
    found = {*outpost.customer_devices}
    while onward := [link for link in links if link & found and not link <= found]:
        found.update(*onward)
    return found
