"""Facts from Junos' configurations, as `set` statements."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network

from testbed.importing.cli_style import address
from testbed.importing.facts import Neighbor, Port, Said, Switch
from testbed.importing.lines import Configuration, Line

SPEEDS = {"ge": "1G", "xe": "10G"}  # et: 40G or 100G, as its optics are
Match = re.Match[str]
VRF = r"(?:routing-instances (?P<vrf>\S+) )?"
GROUP = rf"{VRF}protocols bgp group (?P<group>\S+) "
PORT = r"interfaces (?P<port>irb|[a-z]+-?[0-9][-0-9/:]*)"
UNIT = rf"{PORT} unit (?P<unit>\d+)"


def read(configuration: Configuration) -> Switch:
    """Read a configuration. What is inactive, and whole groups of it, is not read."""
    switch = Switch(configuration.file)
    for statement in configuration.statements:
        text = statement.text.removeprefix("set ")
        if "inactive: " in text:
            statement.line.reason = "it is inactive"
            continue
        for pattern, reader in PATTERNS:
            if match := re.fullmatch(pattern, text):
                reader(switch, match, statement.line)
                break
    _finish(switch)
    return switch


def _port(switch: Switch, match: Match) -> Port:
    """The port, or its unit, that a statement is about. Unit 0 is the port itself."""
    name = _lag(match["port"])
    unit = match.groupdict().get("unit")
    port = switch.port(f"{name}.{unit}" if unit and unit != "0" else name)
    if unit and unit != "0":
        port.parent = name
    return port


def _lag(name: str) -> str:
    return re.sub(r"^ae(?=\d)", "lag", name)


def _name(switch: Switch, match: Match, line: Line) -> None:
    switch.name = Said(match["name"], line)


def _member(switch: Switch, match: Match, line: Line) -> None:
    port = _port(switch, match)
    port.lag, port.mode = Said(_lag(match["lag"]), line), "active"
    if speed := SPEEDS.get(match["port"].split("-")[0]):
        port.speed = Said(speed, line)


def _lacp(switch: Switch, match: Match, line: Line) -> None:
    _port(switch, match).mode = match["mode"]
    _port(switch, match).lines.append(line)


def _fast(switch: Switch, match: Match, line: Line) -> None:
    _port(switch, match).fast = Said(value=True, line=line)


def _tag(switch: Switch, match: Match, line: Line) -> None:
    _port(switch, match).vlan = Said(int(match["vlan"]), line)


def _address(switch: Switch, match: Match, line: Line) -> None:
    if (value := address(match["address"])) is not None:
        _port(switch, match).address = Said(value, line)


def _mtu(switch: Switch, match: Match, line: Line) -> None:
    _port(switch, match).mtu = Said(int(match["mtu"]), line)


def _down(switch: Switch, match: Match, line: Line) -> None:
    _port(switch, match).down = Said(value=True, line=line)


def _plain(switch: Switch, match: Match, line: Line) -> None:
    _port(switch, match).lines.append(line)


def _speed(switch: Switch, match: Match, line: Line) -> None:
    _port(switch, match).speed = Said(match["speed"].upper(), line)


def _vlan(switch: Switch, match: Match, line: Line) -> None:
    number = int(match["vlan"])
    switch.vlan_names[number] = Said(match["name"], line)
    switch.vlans.setdefault(number, []).append(line)


def _irb(switch: Switch, match: Match, line: Line) -> None:
    """The interface of a VLAN: which VLAN's, `_finish` finds out by its name."""
    port = switch.port(f"irb.{match['unit']}")
    port.lines.append(line)
    port.vlan_name = match["name"]


def _in_vrf(switch: Switch, match: Match, line: Line) -> None:
    name, _, unit = match["port"].partition(".")
    port = switch.port(_lag(name) if unit in {"", "0"} else f"{_lag(name)}.{unit}")
    port.vrf = Said(match["vrf"], line)
    switch.vrfs.setdefault(match["vrf"], [])


def _asn(switch: Switch, match: Match, line: Line) -> None:
    said = Said(int(match["asn"]), line)
    if match["vrf"]:
        switch.asn_of_vrf[match["vrf"]] = said
    else:
        switch.asn = said


def _whom(switch: Switch, match: Match) -> Neighbor:
    """The neighbour that a statement is about, or its group, which is a VRF's own."""
    vrf, group = match["vrf"] or "", match["group"]
    named = match.groupdict().get("neighbor")
    if named is None:
        return switch.group(f"{vrf}/{group}")
    return switch.neighbor(IPv4Address(named), vrf)


def _belongs(switch: Switch, match: Match, line: Line) -> Neighbor:
    neighbor = _whom(switch, match)
    if match.groupdict().get("neighbor") and neighbor.group is None:
        neighbor.group = Said(f"{match['vrf'] or ''}/{match['group']}", line)
    return neighbor


def _peer_as(switch: Switch, match: Match, line: Line) -> None:
    _belongs(switch, match, line).asn = Said(int(match["asn"]), line)


def _bfd(switch: Switch, match: Match, line: Line) -> None:
    _belongs(switch, match, line).bfd = Said(value=True, line=line)


def _about(switch: Switch, match: Match, line: Line) -> None:
    _belongs(switch, match, line).lines.append(line)


def _local_as(switch: Switch, match: Match, line: Line) -> None:
    switch.asn_of_vrf[match["vrf"] or ""] = Said(int(match["asn"]), line)


def _prefix(switch: Switch, match: Match, line: Line) -> None:
    network = IPv4Network(match["prefix"], strict=False)
    switch.prefix_lists.setdefault(match["name"], []).append(Said(network, line))


ONE = r"(?: neighbor (?P<neighbor>[0-9.]+))?"
PATTERNS: tuple[tuple[str, Callable[[Switch, Match, Line], None]], ...] = (
    (r"system host-name (?P<name>\S+)", _name),
    (rf"{PORT} (?:gigether|ether)-options 802\.3ad (?P<lag>ae\d+)", _member),
    (rf"{PORT} aggregated-ether-options lacp (?P<mode>active|passive)", _lacp),
    (rf"{PORT} aggregated-ether-options lacp periodic fast", _fast),
    (rf"{UNIT} vlan-id (?P<vlan>\d+)", _tag),
    (rf"{UNIT} family inet address (?P<address>\S+)", _address),
    (rf"{UNIT} family inet mtu (?P<mtu>\d+)", _mtu),
    (rf"{PORT} mtu (?P<mtu>\d+)", _mtu),
    (rf"{UNIT} disable", _down),
    (rf"{PORT} disable", _down),
    (rf"{PORT} speed (?P<speed>\d+[gG])", _speed),
    (rf"{PORT} (?:flexible-vlan-tagging|vlan-tagging|description .*)", _plain),
    (rf"{UNIT} description .*", _plain),
    (r"vlans (?P<name>\S+) vlan-id (?P<vlan>\d+)", _vlan),
    (r"vlans (?P<name>\S+) l3-interface irb\.(?P<unit>\d+)", _irb),
    (r"routing-instances (?P<vrf>\S+) interface (?P<port>\S+)", _in_vrf),
    (rf"{VRF}routing-options autonomous-system (?P<asn>\d+)", _asn),
    (rf"{GROUP}local-as (?P<asn>\d+)", _local_as),
    (rf"{GROUP[:-1]}{ONE} peer-as (?P<asn>\d+)", _peer_as),
    (rf"{GROUP[:-1]}{ONE} bfd-liveness-detection .*", _bfd),
    (rf"{GROUP[:-1]}{ONE}(?: type external| description .*)?", _about),
    (r"policy-options prefix-list (?P<name>\S+) (?P<prefix>[0-9.]+/\d+)", _prefix),
)


def _finish(switch: Switch) -> None:
    """Give the interfaces of VLANs their numbers, by the names that join the two."""
    named = {said.value: number for number, said in switch.vlan_names.items()}
    for port in switch.ports.values():
        if port.vlan_name in named:
            number = named[port.vlan_name]
            port.vlan = Said(number, switch.vlan_names[number].line)
            port.parent = None
