"""Facts from configurations of NX-OS, EOS and IOS, whose words are alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from testbed.importing.facts import Neighbor, Port, Said, Switch
from testbed.importing.lines import Configuration, Line, Statement

# By the beginning of an interface's name (IOS), and by `speed` (NX-OS, EOS).
SPEEDS = {
    "gigabitethernet": "1G",
    "tengig": "10G",
    "fortygig": "40G",
    "hundredgig": "100G",
    **{f"{rate}000": f"{rate}G" for rate in (1, 10, 40, 100)},
    **{f"{rate}g": f"{rate}G" for rate in (1, 10, 40, 100)},
    **{f"{rate}000full": f"{rate}G" for rate in (1, 10)},
    **{f"{rate}gfull": f"{rate}G" for rate in (10, 40, 100)},
}
Match = re.Match[str]
Reading = tuple[str, Callable[[Port, Match, Line], None]]


def read(configuration: Configuration) -> Switch:
    """Read a configuration of one of these vendors."""
    switch = Switch(configuration.file)
    for statement in configuration.statements:
        for pattern, reader in TOP:
            if match := re.fullmatch(pattern, statement.text, re.IGNORECASE):
                reader(switch, match, statement)
                break
    return switch


def vlan_numbers(text: str) -> frozenset[int]:
    """The VLANs of a list such as 10,20-22; none of what is no such list."""
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)


def canonical(name: str) -> str:
    """The name of an interface as it is compared: LAGs are `lag10`, VLANs' are `vlan10`."""
    lower = name.lower().replace(" ", "")
    return re.sub(r"^(port-channel|po|ae)(?=\d)", "lag", lower)


def address(text: str) -> IPv4Interface | None:
    """An address with its length or mask; None for what is neither."""
    try:
        return IPv4Interface(text.replace(" ", "/"))
    except ValueError:
        return None


def _hostname(switch: Switch, match: Match, statement: Statement) -> None:
    switch.name = Said(match["name"], statement.line)


def _vlan(switch: Switch, match: Match, statement: Statement) -> None:
    for number in vlan_numbers(match["list"]):
        switch.vlans.setdefault(number, []).append(statement.line)
        for child in statement.children:
            if name := re.fullmatch(r"name (\S+)", child.text):
                switch.vlan_names[number] = Said(name[1], child.line)


def _vrf(switch: Switch, match: Match, statement: Statement) -> None:
    switch.vrfs.setdefault(match["name"], []).append(statement.line)


def _interface(switch: Switch, match: Match, statement: Statement) -> None:
    port = switch.port(canonical(match["name"]))
    port.lines.append(statement.line)
    parent, dot, _ = port.name.partition(".")
    if dot:
        port.parent = parent
    if (svi := re.fullmatch(r"vlan(\d+)", port.name)) is not None:
        port.vlan = Said(int(svi[1]), statement.line)
    for beginning, speed in SPEEDS.items():
        if beginning.isalpha() and port.name.startswith(beginning):
            port.speed = Said(speed, statement.line)
    for child in statement.children:
        for pattern, reader in INTERFACE:
            if found := re.fullmatch(pattern, child.text, re.IGNORECASE):
                reader(port, found, child.line)
                break


def _member(port: Port, match: Match, line: Line) -> None:
    port.lag, port.mode = Said(f"lag{match[1]}", line), match[2].lower()


def _address(port: Port, match: Match, line: Line) -> None:
    if (value := address(match[1])) is not None:
        port.address = Said(value, line)


def _fast(port: Port, _: Match, line: Line) -> None:
    port.fast = Said(value=True, line=line)


def _mtu(port: Port, match: Match, line: Line) -> None:
    port.mtu = Said(int(match[1]), line)


def _in_vrf(port: Port, match: Match, line: Line) -> None:
    port.vrf = Said(match[1], line)


def _tag(port: Port, match: Match, line: Line) -> None:
    port.vlan = Said(int(match[1]), line)


def _trunk(port: Port, match: Match, line: Line) -> None:
    if numbers := vlan_numbers(match[1]):
        before = port.trunk.value if port.trunk else frozenset()
        port.lines.append(line)
        port.trunk = Said(before | numbers, line)


def _native(port: Port, match: Match, line: Line) -> None:
    port.native = Said(int(match[1]), line)


def _speed(port: Port, match: Match, line: Line) -> None:
    if speed := SPEEDS.get(match[1].lower()):
        port.speed = Said(speed, line)


def _down(port: Port, _: Match, line: Line) -> None:
    port.down = Said(value=True, line=line)


def _plain(port: Port, _: Match, line: Line) -> None:
    """What every port of the testbed's is, or what is said by other lines, too."""
    port.lines.append(line)


INTERFACE: tuple[Reading, ...] = (
    (r"channel-group (\d+)(?: force)? mode (\S+)", _member),
    (r"lacp (?:rate|timer) fast", _fast),
    (r"ip address ([0-9.]+/\d+|[0-9.]+ [0-9.]+)", _address),
    (r"(?:ip )?mtu (\d+)", _mtu),
    (r"(?:vrf member|(?:ip )?vrf forwarding|vrf) (\S+)", _in_vrf),
    (r"encapsulation dot1q (?:vlan )?(\d+)", _tag),
    (r"switchport trunk allowed vlan (?:add )?([0-9, -]+)", _trunk),
    (r"switchport trunk native vlan (\d+)", _native),
    (r"speed (?:forced )?(\S+)", _speed),
    (r"shutdown", _down),
    (r"no shutdown|no switchport|switchport|switchport mode trunk|description .*", _plain),
)


def _bgp(switch: Switch, match: Match, statement: Statement) -> None:
    switch.asn = Said(int(match["asn"]), statement.line)
    _neighbors(switch, statement.children, "", [statement.line])


def _neighbors(switch: Switch, statements: list[Statement], vrf: str, above: list[Line]) -> None:
    """The neighbours among statements, in the VRF that these are about."""
    for statement in statements:
        text = statement.text
        if match := re.fullmatch(r"(?:vrf|address-family ipv4(?: unicast)? vrf) (\S+)", text):
            _neighbors(switch, statement.children, match[1], [*above, statement.line])
        elif re.fullmatch(r"address-family ipv4(?: unicast)?", text):
            statement.line.used = True  # what every session here carries
            _neighbors(switch, statement.children, vrf, [*above, statement.line])
        elif match := re.fullmatch(r"local-as (\d+)", text):
            switch.asn_of_vrf[vrf] = Said(int(match[1]), statement.line)
        elif match := re.fullmatch(r"template peer (\S+)", text):
            _about(switch.group(match[1]), "", statement)
        elif match := re.fullmatch(r"neighbor (\S+)(?: (.*))?", text):
            rest = match[2] or ""
            about = _whom(switch, match[1], vrf)
            if isinstance(about.address, IPv4Address) and int(about.address):
                about.lines += [line for line in above if line not in about.lines]
            _about(about, rest, statement)


def _whom(switch: Switch, word: str, vrf: str) -> Neighbor:
    try:
        return switch.neighbor(IPv4Address(word), vrf)
    except ValueError:
        return switch.group(word)


def _about(neighbor: Neighbor, rest: str, statement: Statement) -> None:
    """What a statement, the `rest` of its line and those inside, says of a neighbour."""
    if not rest or statement.children:
        neighbor.lines.append(statement.line)
    said = [(rest, statement.line), *((child.text, child.line) for child in statement.children)]
    for text, line in said:
        if match := re.fullmatch(r"remote-as (\d+)", text):
            neighbor.asn = Said(int(match[1]), line)
        elif re.fullmatch(r"(?:fall-over )?bfd", text):
            neighbor.bfd = Said(value=True, line=line)
        elif match := re.fullmatch(r"(?:peer[- ]group|inherit peer) (\S+)", text):
            neighbor.group = Said(match[1], line)
        elif re.fullmatch(
            r"activate|peer[- ]group|description .*|address-family ipv4(?: unicast)?", text
        ):
            neighbor.lines.append(line)


def _prefix_list(switch: Switch, match: Match, statement: Statement) -> None:
    said = [(match["rest"] or "", statement.line)]
    said += [(child.text, child.line) for child in statement.children]
    for text, line in said:
        if permit := re.fullmatch(r"(?:seq )?(?:\d+ )?permit ([0-9.]+/\d+).*", text):
            network = IPv4Network(permit[1], strict=False)
            switch.prefix_lists.setdefault(match["name"], []).append(Said(network, line))


TOP: tuple[tuple[str, Callable[[Switch, Match, Statement], None]], ...] = (
    (r"(?:hostname|switchname) (?P<name>\S+)", _hostname),
    (r"vlan (?P<list>[0-9, -]+)", _vlan),
    (r"(?:vrf (?:context|definition|instance)|ip vrf) (?P<name>\S+)", _vrf),
    (r"interface (?P<name>\S+)(?: point-to-point)?", _interface),
    (r"router bgp (?P<asn>\d+)", _bgp),
    (r"ip prefix-list (?P<name>\S+)(?: (?P<rest>.*))?", _prefix_list),
)
