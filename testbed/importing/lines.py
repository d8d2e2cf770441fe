"""A switch's configuration as statements, each with its line; hier_config knows the syntaxes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from testbed.errors import UsageError

Vendor = Literal["nxos", "eos", "ios", "junos"]
VENDORS: tuple[Vendor, ...] = ("nxos", "eos", "ios", "junos")
# What only one vendor writes, each with that vendor.
SIGNS: tuple[tuple[Vendor, str], ...] = (
    ("junos", r"^\s*set (system|interfaces|protocols|routing-options) "),
    ("junos", r"^(system|interfaces|protocols|routing-options) \{\s*$"),
    ("nxos", r"^vrf context "),
    ("nxos", r"^feature (bgp|lacp|interface-vlan)\b"),
    ("nxos", r"^interface port-channel\d"),
    ("nxos", r"^  vrf member "),
    ("eos", r"^! device: .*EOS"),
    ("eos", r"^vrf instance "),
    ("eos", r"^interface Port-Channel\d"),
    ("eos", r"^service routing protocols model "),
    ("ios", r"^version \d+\.\d+\s*$"),
    ("ios", r"^interface Port-channel\d"),
    ("ios", r"^interface \w*GigabitEthernet"),
    ("ios", r"^ (ip )?vrf forwarding "),
)
# What opens or closes, and says nothing.
SILENT = re.compile(r"!|#|(end|exit|exit-\S+)$|\}|/\*|Building configuration|[^;]* \{$")
NO_WORD = "the testbed has no word for it"


@dataclass(eq=False)
class Line:
    """A line of a file: whether something was taken from it, and if not, why."""

    number: int
    text: str
    used: bool = False
    reason: str = NO_WORD


@dataclass(eq=False)
class Statement:
    """A statement and what belongs to it."""

    text: str
    line: Line
    children: list[Statement] = field(default_factory=list)


@dataclass
class Configuration:
    """A file: its statements, and all of its lines that say something, by number."""

    file: str
    vendor: Vendor
    statements: list[Statement]
    lines: dict[int, Line]


def vendor_of(text: str, file: str) -> Vendor:
    """Tell the vendor by what only one writes; UsageError where there is no such sign, or two."""
    found = {vendor for vendor, sign in SIGNS if re.search(sign, text, re.MULTILINE)}
    if len(found) == 1:
        return found.pop()
    what = f"looks like {' and '.join(sorted(found))}" if found else "has no sign of its vendor"
    raise UsageError(f"{file} {what}", hint=f"say which: --vendor {'|'.join(VENDORS)}")


def read(text: str, file: str, vendor: Vendor) -> Configuration:
    """Read a configuration into statements."""
    # hier_config takes 0.65 s to import, and is needed here only.
    from hier_config import Platform, get_hconfig  # noqa: PLC0415

    platforms = {
        "nxos": Platform.CISCO_NXOS,
        "eos": Platform.ARISTA_EOS,
        "ios": Platform.CISCO_IOS,
        "junos": Platform.JUNIPER_JUNOS,
    }
    try:
        tree = get_hconfig(platforms[vendor], text)
    except (ValueError, TypeError, IndexError) as error:
        raise UsageError(f"{file} cannot be read as {vendor}: {error}") from error
    lines = {
        number: Line(number, line.strip())
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not SILENT.match(line.strip())
    }
    places = _braces(text) if vendor == "junos" else _indented(text)
    made = Configuration(file, vendor, [], lines)
    _fill(made, tree.children, (), made.statements, places)
    return made


Places = dict[tuple[str, ...], list[int]]


def _fill(
    made: Configuration,
    nodes: object,
    above: tuple[str, ...],
    into: list[Statement],
    places: Places,
) -> None:
    for node in nodes:  # type: ignore[attr-defined]
        first, *more = str(node.text).split("\n")
        path = (*above, " ".join(first.split()))
        numbers = places.get(path) or _prefix(path, places)
        number = numbers[0] if numbers else 0
        line = made.lines.setdefault(number, Line(number, first))
        for other in range(number + 1, number + 1 + len(more)):  # a banner's text
            made.lines.pop(other, None)
        for repeated in numbers[1:]:
            if repeated in made.lines:
                made.lines[repeated] = line
        statement = Statement(path[-1], line)
        into.append(statement)
        _fill(made, node.children, path, statement.children, places)


def _prefix(path: tuple[str, ...], places: Places) -> list[int]:
    """The line of a statement that a tree has in more words, as a list in braces."""
    words = path[-1].split()
    for count in range(len(words) - 1, 1, -1):
        if numbers := places.get((*path[:-1], " ".join(words[:count]))):
            return numbers
    return []


def _indented(text: str) -> Places:
    """The numbers of the lines, by the line itself and those above that it is indented under."""
    found: Places = {}
    above: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = " ".join(line.split())
        if not bare or bare[0] == "!":
            continue
        depth = len(line) - len(line.lstrip())
        while above and above[-1][0] >= depth:
            above.pop()
        above.append((depth, bare))
        found.setdefault(tuple(text for _, text in above), []).append(number)
    return found


def _braces(text: str) -> Places:
    """The numbers of the lines, by the `set` statement that each makes."""
    found: Places = {}
    above: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = " ".join(line.split("##")[0].split())
        if bare.endswith("{"):
            above.append(bare[:-1].strip())
        elif bare.startswith("}"):
            above = above[:-1]
        elif bare.startswith("set "):
            found.setdefault((bare,), []).append(number)
        elif bare:
            words = " ".join(["set", *above, bare.rstrip(";").split("[")[0].strip()])
            found.setdefault((words,), []).append(number)
    return found


def walk(statements: list[Statement]) -> Iterator[Statement]:
    """All statements, those inside others after these."""
    for statement in statements:
        yield statement
        yield from walk(statement.children)
