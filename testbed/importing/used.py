"""Which lines of a configuration count as used, once a part of it is taken over."""

from __future__ import annotations

import re

from testbed.importing.facts import Neighbor, Port, Switch


def name_of(switch: Switch) -> str:
    """A device's name in the topology: its host name, without a domain, in small letters."""
    name = switch.name.value if switch.name else switch.file.rpartition("/")[2].partition(".")[0]
    return re.sub(r"[^a-z0-9]+", "-", name.partition(".")[0].lower()).strip("-")


def used(switch: Switch, port: Port | None, neighbor: Neighbor | None = None) -> None:
    """Mark what a port consists of, and a neighbour on it, as used."""
    if port is not None:
        said = [port.vlan, port.vrf, port.address, port.mtu, port.trunk, port.speed]
        lines = [*port.lines, *(one.line for one in said if one)]
        if port.vlan:
            lines += switch.vlans.get(port.vlan.value, [])
            if (name := switch.vlan_names.get(port.vlan.value)) is not None:
                lines.append(name.line)
        if port.vrf:
            lines += switch.vrfs.get(port.vrf.value, [])
        if port.parent and port.parent in switch.ports:
            lines += switch.ports[port.parent].lines
        for line in lines:
            line.used = True
    if neighbor is not None:
        group = switch.group(neighbor.group.value) if neighbor.group else None
        facts = [switch.remote_asn(neighbor), switch.guarded(neighbor), neighbor.group]
        lines = [*neighbor.lines, *(one.line for one in facts if one)]
        for line in [*lines, *(group.lines if group else [])]:
            line.used = True
