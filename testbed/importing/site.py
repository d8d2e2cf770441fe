"""The site part of a topology, from what switches say and what only a person can tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from testbed.errors import UsageError
from testbed.importing.facts import Neighbor, Port, Switch
from testbed.importing.racks import Racks
from testbed.importing.used import name_of, used

LONGEST_LAN = 29  # the longest prefix of a LAN segment (docs/topology.md)
NO_LAN = re.compile(r"mgmt|management|tunnel|loopback|lo\d|fxp|em\d|nve|vxlan")
ETHERNET_MTU = 1500
Place = tuple[str, str]  # a switch, and one of its LAGs or neighbours


@dataclass(frozen=True, slots=True)
class Answers:
    """What no configuration says: which LAGs are an Outpost's, which VLANs its service link's.

    `outposts` has an Outpost's LAGs in the order of its networking devices; `region` and `wan`
    the neighbours that are the way to the Region, or the WAN's router.
    """

    outposts: Mapping[str, Sequence[Place]] = field(default_factory=dict)
    service_link: frozenset[int] = frozenset()
    region: Sequence[Place] = ()
    wan: Sequence[Place] = ()


@dataclass
class Site:
    """What has been found: a topology's parts, and what a reader has to know of them."""

    data: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def build(switches: Sequence[Switch], answers: Answers) -> Site:
    """Make the site part; UsageError where an answer fits no configuration, or is missing."""
    names = [name_of(switch) for switch in switches]
    if len(set(names)) < len(names):
        raise UsageError(f"two files are about one device: {', '.join(sorted(names))}")
    known = dict(zip(names, switches, strict=True))
    site = Site()
    racks = Racks(known, answers.service_link, site.notes)
    for outpost, places in answers.outposts.items():
        racks.add(outpost, places)
    racks.suggest()
    own = {"devices": _devices(known, site.notes)}
    _links(known, own, site.notes)
    _outside(known, answers, own, site.notes)
    _segments(known, racks.vrfs, own)
    if racks.outposts:
        site.data["outposts"] = racks.outposts
    site.data["site"] = own
    if racks.faults:
        site.data["faults"] = racks.faults
    return site


def _devices(known: Mapping[str, Switch], notes: list[str]) -> dict[str, Any]:
    devices: dict[str, Any] = {}
    for name, switch in known.items():
        devices[name] = {"asn": switch.asn.take()} if switch.asn else {}
        if switch.name:
            switch.name.line.used = True
        if not switch.asn:
            notes.append(f"{switch.file} has no AS number: {name} gets a derived one")
        for vrf, said in switch.asn_of_vrf.items():
            said.line.reason = f"a device has one AS number here, in VRF {vrf}, too"
    return devices


def _links(known: Mapping[str, Switch], own: dict[str, Any], notes: list[str]) -> None:
    """Links: a device that is another one's neighbour."""
    found: dict[tuple[str, str], int] = {}
    for name, switch in known.items():
        for neighbor in switch.neighbors:
            for other, far in known.items():
                ours = switch.towards(neighbor) if other != name else None
                theirs = _at(far, ours, neighbor.address) if ours else None
                if ours is None or theirs is None:
                    continue
                pair = (name, other) if name < other else (other, name)
                if pair not in found:
                    subnet = ours.address.value.network if ours.address else ""
                    notes.append(
                        f"link {pair[0]} - {pair[1]}: its ends get addresses of the testbed's own,"
                        f" in the VRFs of service link and local gateway, not {subnet}"
                    )
                sizes = [port.mtu.take() for port in (ours, theirs) if port.mtu]
                found[pair] = min([*sizes, found.get(pair, ETHERNET_MTU), ETHERNET_MTU])
                used(switch, ours, neighbor)
                used(far, theirs)
    own["links"] = [
        {"devices": list(pair)} | ({"mtu": mtu} if mtu < ETHERNET_MTU else {})
        for pair, mtu in sorted(found.items())
    ]


def _at(switch: Switch, near: Port, address: IPv4Address) -> Port | None:
    """The port at the other end of a link: it has the address, in the VRF of that name if several.

    One address may be in several VRFs.
    """
    found = [
        port
        for port in switch.ports.values()
        if port.address and port.address.value.ip == address and not port.down
    ]
    same = [port for port in found if port.vrf_name == near.vrf_name]
    return next(iter(same or (found if len(found) == 1 else [])), None)


def _outside(
    known: Mapping[str, Switch], answers: Answers, own: dict[str, Any], notes: list[str]
) -> None:
    """The ways to the Region and to the WAN, which somebody has to tell apart."""
    to_region = []
    for name, switch, neighbor in _told(known, answers.region, "--region"):
        to_region.append(name)
        asn = switch.remote_asn(neighbor)
        told = f"AS {asn.take()}" if asn else "no AS number"
        notes.append(
            f"{name}: {neighbor.address} ({told}) stands for the Region's edge, which has an"
            " address and an AS number of its own here"
        )
    if to_region:
        own["region_link"] = {"devices": to_region}
    else:
        notes.append("no --region was given: each device gets a link to the Region")
    to_wan = []
    for name, switch, neighbor in _told(known, answers.wan, "--wan"):
        to_wan.append(name)
        if asn := switch.remote_asn(neighbor):
            own.setdefault("wan", {})["asn"] = asn.take()
    if to_wan:
        own.setdefault("wan", {})["devices"] = to_wan


def _told(
    known: Mapping[str, Switch], places: Sequence[Place], option: str
) -> Iterator[tuple[str, Switch, Neighbor]]:
    for name, address in places:
        switch = known.get(name)
        if switch is None:
            hint = f"the devices are {', '.join(known)}"
            raise UsageError(f"{option}: no file is about {name}", hint=hint)
        for neighbor in switch.neighbors:
            if str(neighbor.address) == address:
                used(switch, switch.towards(neighbor), neighbor)
                yield name, switch, neighbor
                break
        else:
            hint = f"its neighbours are {', '.join(str(n.address) for n in switch.neighbors)}"
            raise UsageError(f"{option}: {name} has no BGP neighbour {address}", hint=hint)


def _segments(known: Mapping[str, Switch], vrfs: set[str], own: dict[str, Any]) -> None:
    """LAN segments: what is left of subnets, in the VRF of the local gateways."""
    found: dict[IPv4Network, list[tuple[str, Switch, Port]]] = {}
    for name, switch in known.items():
        for port in switch.ports.values():
            if port.address is None or port.address_used or port.down:
                continue
            if reason := _no_lan(switch, port, vrfs):
                port.address.line.reason = reason
            else:
                network = port.address.value.network
                found.setdefault(network, []).append((name, switch, port))
    taken: set[str] = set()
    for network, ports in found.items():
        name = _segment_name(ports)
        if name in taken:
            name = f"{name}-{str(network.network_address).replace('.', '-')}"
        taken.add(name)
        own.setdefault("segments", {})[name] = {"cidr": str(network), **_segment(ports)}
        for _, switch, port in ports:
            used(switch, port)


def _no_lan(switch: Switch, port: Port, vrfs: set[str]) -> str:
    """Why a port's subnet is no LAN segment; "" where it is one."""
    assert port.address is not None
    network = port.address.value.network
    if network.prefixlen > LONGEST_LAN:
        return f"a subnet of /{network.prefixlen} is no LAN segment"
    if NO_LAN.match(port.name):
        return "what is for management or tunnels is no LAN segment"
    if vrfs and port.vrf_name not in vrfs:
        where = f"VRF {port.vrf_name}" if port.vrf_name else "the default VRF"
        return f"it is in {where}, not in the local gateway's"
    for neighbor in switch.neighbors:
        if switch.towards(neighbor) is port:
            return f"nobody said who its neighbour {neighbor.address} is: --region or --wan"
    return ""


def _segment_name(ports: list[tuple[str, Switch, Port]]) -> str:
    """The name of its VLAN, else the VLAN's number, else an interface's name."""
    names = [port.name for _, _, port in ports]
    for _, switch, port in ports:
        if port.vlan:
            said = switch.vlan_names.get(port.vlan.value)
            names.insert(0, said.value if said else f"vlan{port.vlan.value}")
    return re.sub(r"[^a-z0-9]+", "-", names[0].lower()).strip("-")


def _segment(ports: list[tuple[str, Switch, Port]]) -> dict[str, Any]:
    """A segment as the topology has it; it has a VLAN where all devices agree on that."""
    entry: dict[str, Any] = {}
    vlans = {port.vlan.value if port.vlan else None for _, _, port in ports}
    if len(vlans) == 1 and (number := vlans.pop()) is not None:
        entry["vlan"] = number
    sizes = [port.mtu.value for _, _, port in ports if port.mtu]
    if sizes and min(sizes) < ETHERNET_MTU:
        entry["mtu"] = min(sizes)
    entry["devices"] = [name for name, _, _ in ports]
    entry["addresses"] = {
        name: str(port.address.value.ip) for name, _, port in ports if port.address
    }
    return entry
