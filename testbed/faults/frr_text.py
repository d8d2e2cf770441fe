"""Changing sessions in a customer's own configuration of FRR's bgpd."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.errors import UsageError
from testbed.plan.frr import FILE

if TYPE_CHECKING:
    from collections.abc import Callable

PERMIT_LAST = 100
WORSE_PREFERENCE = 50  # less than BGP's default of 100
_REMOTE = re.compile(r"^\s+neighbor\s+([0-9.]+)\s+remote-as\s+(\S+)")
_ROUTER = re.compile(r"^router bgp ([0-9]+)")


def _outbound(neighbor: str) -> re.Pattern[str]:
    """The line that gives a session its outbound route map, whose name is the second group."""
    return re.compile(rf"^(\s+neighbor {re.escape(neighbor)} route-map )(\S+)( out\s*)$")


@dataclass(slots=True)
class _Section:
    """A `router bgp` block: its AS and the numbers of its lines."""

    asn: int
    start: int
    end: int


class FrrText:
    """A configuration of bgpd; sessions are known by their neighbour's IPv4 address."""

    file = FILE

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()

    @property
    def text(self) -> str:
        """The configuration."""
        return "\n".join(self._lines) + "\n"

    def neighbors(self) -> list[str]:
        """The neighbours of all sessions."""
        return [match[1] for line in self._lines if (match := _REMOTE.match(line))]

    def _section(self, neighbor: str) -> _Section:
        """The block of `router bgp` that has the session."""
        section = _Section(0, 0, len(self._lines))
        found: _Section | None = None
        for number, line in enumerate(self._lines):
            if router := _ROUTER.match(line):
                section = _Section(int(router[1]), number, len(self._lines))
            elif line[:1] not in {" ", "\t", "!", ""} and found:
                found.end = number
                return found
            elif (match := _REMOTE.match(line)) and match[1] == neighbor:
                found = section
        if found is None:
            raise UsageError(f"no session with {neighbor}")
        return found

    def _insert_after(self, neighbor: str, test: Callable[[str], bool], line: str) -> bool:
        """Insert a line, indented alike, after the first of the session's block that fits."""
        section = self._section(neighbor)
        for number in range(section.start, section.end):
            if test(self._lines[number]):
                indent = re.match(r"\s*", self._lines[number])
                assert indent is not None
                self._lines.insert(number + 1, f"{indent[0]}{line}")
                return True
        return False

    def _after_remote(self, neighbor: str, line: str) -> None:
        def is_remote(text: str) -> bool:
            match = _REMOTE.match(text)
            return match is not None and match[1] == neighbor

        self._insert_after(neighbor, is_remote, line)

    def asns(self, neighbor: str) -> tuple[int, int]:
        """The own and the neighbour's AS on a session; 0 where the text does not say."""
        section = self._section(neighbor)
        for line in self._lines[section.start : section.end]:
            match = _REMOTE.match(line)
            if match and match[1] == neighbor:
                return section.asn, int(match[2]) if match[2].isdigit() else 0
        return section.asn, 0

    def set_remote_asn(self, neighbor: str, asn: int) -> None:
        """Expect another AS of the neighbour."""
        for number, line in enumerate(self._lines):
            match = _REMOTE.match(line)
            if match and match[1] == neighbor:
                self._lines[number] = line[: match.start(2)] + str(asn) + line[match.end(2) :]

    def set_local_asn(self, neighbor: str, asn: int) -> None:
        """Be another AS towards the neighbour."""
        own, remote = self.asns(neighbor)
        if own == remote:
            text = f"the session with {neighbor} is iBGP: FRR has no local-as there"
            raise UsageError(text, hint="use --side remote")
        self._after_remote(neighbor, f"neighbor {neighbor} local-as {asn} no-prepend replace-as")

    def withdraw(self, neighbor: str, prefix: str) -> None:
        """Announce the prefix (empty: anything) no longer."""
        self._map_entry(self._map(neighbor), "deny", prefix)

    def sign(self, neighbor: str, key: str) -> None:
        """Sign the session's segments with a key."""
        self._after_remote(neighbor, f"neighbor {neighbor} password {key}")

    def limit(self, neighbor: str, number: int) -> None:
        """Take the session down when more prefixes come; it stays down until it is cleared."""
        words = re.compile(rf"^\s+neighbor {re.escape(neighbor)} maximum-prefix\s")
        self._lines = [line for line in self._lines if not words.match(line)]
        self._attach(neighbor, f"neighbor {neighbor} maximum-prefix {number}")

    def without_bfd(self, neighbor: str) -> None:
        """Take BFD off the session."""
        words = re.compile(rf"^\s+neighbor {re.escape(neighbor)} bfd(?:\s|$)")
        kept = [line for line in self._lines if not words.match(line)]
        if kept == self._lines:
            raise UsageError(f"the session with {neighbor} has no BFD")
        self._lines = kept

    def prepend(self, neighbor: str, times: int) -> None:
        """Announce everything as a worse choice: with the own AS more often in its path.

        Inside the own AS, where that would be a loop, with a lower local preference.
        """
        name = self._map(neighbor)
        own, remote = self.asns(neighbor)
        setting, more = "as-path prepend", " ".join([str(own)] * times)
        if own == remote:
            setting, more = "local-preference", str(WORSE_PREFERENCE)
        permit = re.compile(rf"route-map {re.escape(name)} permit [0-9]+\s*$")
        number = 0
        while number < len(self._lines):
            if permit.match(self._lines[number]):
                self._set_in_entry(number + 1, setting, more)
            number += 1

    def _set_in_entry(self, start: int, setting: str, more: str) -> None:
        number = start
        while number < len(self._lines) and self._lines[number].startswith(" "):
            if self._lines[number].strip().startswith(f"set {setting} "):
                if setting == "as-path prepend":
                    self._lines[number] += f" {more}"
                return
            number += 1
        self._lines.insert(number, f" set {setting} {more}")

    def announce(self, neighbor: str, prefix: str) -> None:
        """Announce the prefix whether or not there is a route to it."""
        if self._map_of(neighbor):
            self._map_entry(self._map(neighbor), "permit", prefix)
        if not self._insert_after(
            neighbor,
            lambda line: line.strip() == "address-family ipv4 unicast",
            f" network {prefix}",
        ):
            self._after_remote(neighbor, f"network {prefix}")
        self._after_remote(neighbor, "no bgp network import-check")

    def _map_of(self, neighbor: str) -> str | None:
        """The name of the session's outbound route map."""
        words = _outbound(neighbor)
        return next((match[2] for line in self._lines if (match := words.match(line))), None)

    def _map(self, neighbor: str) -> str:
        """The session's own outbound route map; one that permits everything if it has none.

        One that other sessions use, too, stays theirs: this one gets a copy.
        """
        own = f"fault-{neighbor}-out"
        name = self._map_of(neighbor)
        if name is None:
            self._attach(neighbor, f"neighbor {neighbor} route-map {own} out")
            self._lines += [f"route-map {own} permit {PERMIT_LAST}", "exit"]
            return own
        used = re.compile(rf"^\s.*\broute-map {re.escape(name)}(?:\s|$)")
        if sum(1 for line in self._lines if used.match(line)) == 1:
            return name
        words = _outbound(neighbor)
        self._lines = [words.sub(rf"\g<1>{own}\g<3>", line) for line in self._lines]
        self._copy_map(name, own)
        return own

    def _attach(self, neighbor: str, line: str) -> None:
        activated = re.compile(rf"^\s+neighbor {re.escape(neighbor)} activate\s*$")
        if not self._insert_after(neighbor, lambda text: bool(activated.match(text)), line):
            self._after_remote(neighbor, line)

    def _copy_map(self, name: str, other: str) -> None:
        """Add the entries of a route map under another name."""
        entry = re.compile(rf"route-map {re.escape(name)} (.*)")
        inside = False
        copied: list[str] = []
        for line in self._lines:
            if match := entry.match(line):
                copied.append(f"route-map {other} {match[1]}")
            elif inside and line.startswith(" "):
                copied.append(line)
            inside = bool(match) or (inside and line.startswith(" "))
        self._lines += [*copied, "exit"]

    def _map_entry(self, name: str, action: str, prefix: str) -> None:
        """Add an entry before all others of a route map."""
        entry = re.compile(rf"route-map {re.escape(name)} (?:permit|deny) ([0-9]+)")
        used = [int(match[1]) for line in self._lines if (match := entry.match(line))]
        number = min(used, default=PERMIT_LAST) - 1
        if number < 1:
            raise UsageError(f"route-map {name} has no room before its first entry")
        lines = [f"route-map {name} {action} {number}", "exit"]
        if prefix:
            matched = f"fault-{prefix.replace('/', '-')}"
            lines.insert(0, f"ip prefix-list {matched} seq 5 permit {prefix}")
            lines.insert(2, f" match ip address prefix-list {matched}")
        self._lines += lines
