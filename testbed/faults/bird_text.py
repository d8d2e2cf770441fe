"""Changing sessions in a customer's own configuration of BIRD."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from testbed.errors import UsageError
from testbed.plan.bird import FILE, LAST_CHOICE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORSE_PREFERENCE = 50  # less than BGP's default of 100
_HEAD = re.compile(r"^[ \t]*protocol\s+bgp\b[^{;]*\{", re.MULTILINE)
_NEIGHBOR = re.compile(r"\bneighbor\s+([0-9.]+)(?:\s+port\s+[0-9]+)?(\s+as\s+)?([0-9]+)?")
_LOCAL = re.compile(r"(\blocal\s+(?:[0-9.]+\s+)?as\s+)([0-9]+)")
_REMOTE = re.compile(
    r"(\bneighbor\s+[0-9.]+(?:\s+port\s+[0-9]+)?\s+)(as\s+[0-9]+|internal|external)"
)
_EXPORT = re.compile(
    r"\bexport\s+(?:(all|none)\s*;|where\s+([^;]+);|filter\s+(\w+)\s*;|filter\s*\{)"
)
_TABLE = re.compile(r"\bipv4\s*\{[^{}]*?\btable\s+(\w+)\s*;")
_LIMIT = re.compile(r"^[ \t]*receive\s+limit\b[^;]*;[ \t]*\n", re.MULTILINE)
_BFD = re.compile(r"^[ \t]*bfd\b(?:[^;{]*;|\s*\{[^}]*\}\s*;)[ \t]*\n", re.MULTILINE)
_VRF = re.compile(r"\bvrf\s+(\"[^\"]+\")\s*;")


def _end_of_block(text: str, opened: int) -> int:
    """The position after the brace that closes the one before `opened`."""
    depth = 1
    for match in re.finditer(r"#[^\n]*|\"[^\"\n]*\"|[{}]", text[opened:]):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if not depth:
            return opened + match.end()
    raise UsageError("the configuration has a block without an end")


def _said_elsewhere(neighbor: str) -> UsageError:
    text = f"the session with {neighbor} takes its AS numbers from elsewhere"
    return UsageError(text, hint="write `local as …` and `neighbor … as …` in its own block")


class BirdText:
    """A configuration of BIRD; sessions are known by their neighbour's IPv4 address."""

    file = FILE

    def __init__(self, text: str) -> None:
        self.text = text

    def _blocks(self) -> Iterator[tuple[int, int]]:
        for head in _HEAD.finditer(self.text):
            yield head.start(), _end_of_block(self.text, head.end())

    def neighbors(self) -> list[str]:
        """The neighbours of all sessions."""
        blocks = (self.text[start:end] for start, end in self._blocks())
        return [match[1] for block in blocks if (match := _NEIGHBOR.search(block))]

    def _change(self, neighbor: str, change: Callable[[str], str]) -> None:
        for start, end in self._blocks():
            block = self.text[start:end]
            match = _NEIGHBOR.search(block)
            if match and match[1] == neighbor:
                self.text = self.text[:start] + change(block) + self.text[end:]
                return

    def set_remote_asn(self, neighbor: str, asn: int) -> None:
        """Expect another AS of the neighbour."""
        self._replace(neighbor, _REMOTE, f"as {asn}")

    def set_local_asn(self, neighbor: str, asn: int) -> None:
        """Be another AS towards the neighbour."""
        self._replace(neighbor, _LOCAL, str(asn))

    def _replace(self, neighbor: str, pattern: re.Pattern[str], value: str) -> None:
        """Have the session say `value` after the pattern's first group."""

        def change(block: str) -> str:
            changed, count = pattern.subn(rf"\g<1>{value}", block, count=1)
            if not count:
                raise _said_elsewhere(neighbor)
            return changed

        self._change(neighbor, change)

    def asns(self, neighbor: str) -> tuple[int, int]:
        """The own and the neighbour's AS on a session; 0 where the text does not say."""
        found = [0, 0]

        def look(block: str) -> str:
            local, remote = _LOCAL.search(block), _NEIGHBOR.search(block)
            found[:] = [int(local[2]) if local else 0, int(remote[3] or 0) if remote else 0]
            return block

        self._change(neighbor, look)
        return found[0], found[1]

    def withdraw(self, neighbor: str, prefix: str) -> None:
        """Announce the prefix (empty: anything) no longer."""
        self._export_first(neighbor, f"if net = {prefix} then reject;" if prefix else "reject;")

    def sign(self, neighbor: str, key: str) -> None:
        """Sign the session's segments with a key."""
        self._change(neighbor, lambda block: self._inside(block, f'password "{key}";'))

    def limit(self, neighbor: str, number: int) -> None:
        """Take the session down when more prefixes come."""

        def limited(block: str) -> str:
            channel = re.search(r"\bipv4\s*\{", block)
            if channel is None:
                text = f"the session with {neighbor} takes its limits from elsewhere"
                raise UsageError(text, hint="write `ipv4 { … };` in its own block")
            rest = _LIMIT.sub("", block[channel.end() :])
            line = f"\n    receive limit {number} action restart;"
            return block[: channel.end()] + line + rest

        self._change(neighbor, limited)

    def without_bfd(self, neighbor: str) -> None:
        """Take BFD off the session."""

        def bare(block: str) -> str:
            if not _BFD.search(block):
                raise UsageError(f"the session with {neighbor} has no BFD")
            return _BFD.sub("", block)

        self._change(neighbor, bare)

    @staticmethod
    def _inside(block: str, statement: str) -> str:
        head = _HEAD.match(block)
        assert head is not None
        return f"{block[: head.end()]}\n  {statement}{block[head.end() :]}"

    def prepend(self, neighbor: str, times: int) -> None:
        """Announce everything as a worse choice: with the own AS more often in its path.

        Inside the own AS, where that would be a loop, with a lower local preference.
        """
        asn, remote = self.asns(neighbor)
        if asn == remote:
            self._export_first(neighbor, f"bgp_local_pref = {WORSE_PREFERENCE};")
            return
        if not asn:
            raise _said_elsewhere(neighbor)
        self._export_first(neighbor, *[f"bgp_path.prepend({asn});"] * times)

    def announce(self, neighbor: str, prefix: str) -> None:
        """Announce the prefix, by a route that leads nowhere where there is no other."""
        block = next(
            self.text[start:end]
            for start, end in self._blocks()
            if (match := _NEIGHBOR.search(self.text[start:end])) and match[1] == neighbor
        )
        self._export_first(neighbor, f"if net = {prefix} then accept;")
        table, vrf = _TABLE.search(block), _VRF.search(block)
        where = table[1] if table else "master4"
        name = re.sub(r"\W", "_", prefix)
        protocol = f"protocol static fault_{name}_{where} {{"
        if protocol in self.text:
            return
        lines = [f"vrf {vrf[1]};"] if vrf else []
        lines.append(f"ipv4 {{ table {where}; preference {LAST_CHOICE}; }};")
        lines.append(f"route {prefix} unreachable;")
        self.text += "\n".join([protocol, *(f"  {line}" for line in lines), "}", ""])

    def _export_first(self, neighbor: str, *statements: str) -> None:
        """Have the statements run before what the session's export filter has."""
        self._change(neighbor, lambda block: self._with_export(block, neighbor, statements))

    def _with_export(self, block: str, neighbor: str, statements: tuple[str, ...]) -> str:
        first = "".join(f"      {statement}\n" for statement in statements)
        channel = re.search(r"\bipv4\s*\{", block)
        match = _EXPORT.search(block, channel.end() if channel else 0)
        if match is None:
            if channel is None:
                text = f"the session with {neighbor} takes its export filter from elsewhere"
                raise UsageError(text, hint="write `ipv4 { export … };` in its own block")
            at = channel.end()
            return f"{block[:at]} export filter {{\n{first}      reject;\n    }};{block[at:]}"
        if not any(match.groups()):
            return f"{block[: match.end()]}\n{first}{block[match.end() :].lstrip(chr(10))}"
        if match[1]:
            last = "accept;" if match[1] == "all" else "reject;"
        elif match[2]:
            last = f"if {match[2]} then accept; reject;"
        else:
            last = self._body(match[3])
        made = f"export filter {{\n{first}      {last}\n    }};"
        return block[: match.start()] + made + block[match.end() :]

    def _body(self, name: str) -> str:
        """What a named filter says."""
        head = re.search(rf"^[ \t]*filter\s+{name}\b[^{{]*\{{", self.text, re.MULTILINE)
        if head is None:
            raise UsageError(f"there is no filter {name} in the configuration")
        return self.text[head.end() : _end_of_block(self.text, head.end()) - 1].strip()
