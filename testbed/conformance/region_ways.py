"""The ways from the customer's devices to the Region's edge, and which of them a tunnel takes."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.conformance.probing import captures
from testbed.conformance.rack_subjects import TunnelSubject
from testbed.conformance.site import Site
from testbed.conformance.subjects import behind
from testbed.lower import names
from testbed.lower.rack.inner import SERVICE_LINK_PORT as PORT
from testbed.lower.rack.inner import server_address
from testbed.plan.model import Place
from testbed.topology.model import Rack, Topology

# What calls without an answer does so again after 5 s and up to a third of one (WireGuard).
LOOK_S = 6.0


@dataclass(frozen=True, slots=True)
class RegionWay:
    """A way to the Region's edge: where what goes out is seen first, and what comes back.

    `address` is what a firewall may translate to.
    """

    name: str
    firewall: bool
    out: tuple[Place, ...]
    back: Place
    address: str = ""


def ways_of(topology: Topology, outpost: Rack) -> list[RegionWay]:
    """The ways that the service link of an Outpost with public connectivity may take."""
    if outpost.private_anchors:
        return []
    site, found = topology.site, []
    devices = {*outpost.customer_devices}
    for wall in site.firewalls:
        if any(rack.name == outpost.name for rack in behind(topology, wall.name)):
            inside = tuple((wall.name, names.inside_port(link.device)) for link in wall.inside)
            own = str(wall.outside.addresses[0].ip)
            found.append(RegionWay(wall.name, True, inside, (wall.name, names.REGION_PORT), own))
    for uplink in site.region_uplinks:
        if uplink.device in devices:
            edge = (names.EDGE, names.customer_port(uplink))
            found.append(RegionWay(f"{uplink.device}'s link", False, (edge,), edge))
    for connection in site.direct_connects:
        kinds = {vif.kind for vif in connection.virtual_interfaces}
        if "public" in kinds and connection.device in devices:
            edge = (names.EDGE, names.connection_port(connection))
            found.append(RegionWay(connection.name, False, (edge,), edge))
    return found


def taken(site: Site, tunnel: TunnelSubject, ways: list[RegionWay]) -> tuple[list[str], list[str]]:
    """The ways that the last packets of a tunnel have taken, out and back."""
    server, anchor = str(server_address(tunnel.outpost, tunnel.index)), tunnel.anchor_address
    translated = [way.address for way in ways if way.address]
    places = {place for way in ways for place in (*way.out, way.back)}
    mine = " or ".join(f"host {address}" for address in (server, *translated))
    with captures(site, places, f"udp port {PORT} and host {anchor} and ({mine})") as heard:

        def seen(place: Place, *, out: bool) -> bool:
            """Whether a packet of that direction was there."""
            packets = (packet for packet in heard[place].packets if packet.haslayer("IP"))
            return any((packet["IP"].src != anchor) == out for packet in packets)

        def both() -> tuple[list[str], list[str]]:
            out = [way.name for way in ways if any(seen(place, out=True) for place in way.out)]
            return sorted(out), sorted(way.name for way in ways if seen(way.back, out=False))

        return site.settled(both, all, LOOK_S)
