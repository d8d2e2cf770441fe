"""Interfaces and VRFs that a device's own configuration names and the device does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from testbed.lower.site.frr_parts import STATICD, parts

if TYPE_CHECKING:
    from testbed.lifecycle.device_reports import Found
    from testbed.plan.model import Node
    from testbed.topology.model import Device

WORD = r"(?P<name>\S+)"
VRFS = {
    "bird": (re.compile(r'^[^#]*?\bvrf\s+"(?P<name>[^"]+)"'),),
    "frr": (
        re.compile(rf"^vrf {WORD}"),
        re.compile(rf"^[^!#]*? vrf (?!route-map\b){WORD}"),
        re.compile(rf"\bnexthop-vrf {WORD}"),
    ),
}
INTERFACES = {
    "bird": (
        re.compile(r'^[^#]*?\binterface\s+"(?P<name>[^"*-][^"*]*)"'),
        re.compile(r'^[^#]*?\bvia\s+"(?P<name>[^"]+)"'),
    ),
    "frr": (
        re.compile(rf"^interface {WORD}"),
        re.compile(rf"^\s*peer \S+.* interface {WORD}"),
        re.compile(r"^\s*neighbor \S+ (?:interface|update-source) (?P<name>[A-Za-z]\S*)"),
        re.compile(rf"^\s*match interface {WORD}"),
        re.compile(rf"^\s*passive-interface (?!default\b){WORD}"),
        re.compile(r"^\s*ip(?:v6)? route \S+ (?:[0-9a-f.:]+ )?(?P<name>[a-z]\S*)"),
    ),
}
# Words that stand where a static route may have an interface.
NO_INTERFACE = {"blackhole", "reject", "Null0", "tag", "vrf", "label", "table", "nexthop-vrf"}
DEFAULT = "default"


def unknown(device: Device, text: str, node: Node) -> Iterator[Found]:
    """Find the lines about what a device does not have: they never come into force."""
    vrfs = [one.name for one in node.interfaces if one.device.kind == "vrf"]
    ports = [one.name for one in node.interfaces if one.name not in vrfs]
    listed = ", ".join(sorted(port for port in ports if port != "lo"))
    of_ports = f"its interfaces are {listed}; config_interfaces says what the file calls them"
    of_vrfs = f"its VRFs are {' and '.join(vrfs)}; site.devices.{device.name}.vrfs adds some"
    known = {"VRF": {*vrfs, DEFAULT}, "interface": {*ports, *vrfs, *NO_INTERFACE}}
    hints = {"VRF": of_vrfs, "interface": of_ports}
    for what, name in _declared(device):
        if name not in {*ports, *vrfs}:
            yield 1, 1, f"{device.name} has no interface {name} {what}", of_ports
    for number, line in enumerate(text.splitlines(), 1):
        for kind, table in (("VRF", VRFS), ("interface", INTERFACES)):
            for pattern in table[device.daemon]:
                match = pattern.search(line)
                if match and match["name"] not in known[kind]:
                    message = f"{device.name} has no {kind} {match['name']}, so this line would do"
                    yield number, match.start("name") + 1, f"{message} nothing", hints[kind]
                    break
    if device.daemon == "frr":
        yield from _nowhere(node, text)


def _declared(device: Device) -> Iterator[tuple[str, str]]:
    """What the topology says that interfaces are for, and their names."""
    for vrf, members in device.vrfs.items():
        yield from ((f"for the VRF {vrf}", member) for member in members)
    for own, name in device.config_interfaces.items():
        yield f"that {own} could be", name


def _nowhere(node: Node, text: str) -> Iterator[Found]:
    """Static routes of the VRF default by a gateway, where that VRF reaches nothing."""
    if any(one.master is None and one.addresses and one.name != "lo" for one in node.interfaces):
        return
    for number, line in enumerate(parts(text).of(STATICD).splitlines(), 1):
        if re.match(r"ip route \S+ [0-9.]+(?!.* (nexthop-)?vrf )", line):
            message = (
                f"all interfaces of {node.name} are in VRFs, so this route of the VRF default has"
                " no way to its gateway and would do nothing"
            )
            yield number, 1, message, "leave it out, or say for which VRF it is"
