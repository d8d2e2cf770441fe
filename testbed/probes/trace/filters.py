"""What nftables did with the packet in a namespace: the rules that matched, as nft lists them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.probes.trace.packets import IP_HEADER, IPV6_HEADER, read_packet
from testbed.probes.trace.sightings import read_error, read_header

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from testbed.probes.trace.packets import Part
    from testbed.probes.trace.sightings import Probe, Way

_RULE = re.compile(r"^\s*(?P<text>.+?) # handle (?P<handle>\d+)$", re.MULTILINE)
_COMMENT = re.compile(r'\s*comment "([^"]*)"')
_COUNTER = re.compile(r"counter packets \d+ bytes \d+ ?")


@dataclass(frozen=True, slots=True)
class Filter:
    """A rule that matched, or a chain's policy; `comment` says what it stands for."""

    table: str
    chain: str
    rule: str
    verdict: str
    comment: str = ""

    @property
    def drops(self) -> bool:
        """Whether it dropped the packet."""
        return self.verdict == "drop"

    @property
    def text(self) -> str:
        """What it stands for, else the rule."""
        return self.comment or f'"{self.rule}" in table {self.table}, chain {self.chain}'

    def to_json(self) -> dict[str, str]:
        """For `testbed trace --json`."""
        return {
            "table": self.table,
            "chain": self.chain,
            "rule": self.rule,
            "verdict": self.verdict,
            "comment": self.comment,
        }


@dataclass(frozen=True, slots=True)
class Passage:
    """One packet in one namespace: where it came in, None for one of its own, and the filters."""

    node: str
    iif: str | None
    way: Way | None
    about_error: bool
    part: Part
    tunnel: bytes
    """The first bytes of what tells packets of WireGuard's apart."""
    filters: tuple[Filter, ...]


def read_passages(
    record: dict[str, Any], probe: Probe, tunnels: Container[tuple[str, str]]
) -> list[Passage]:
    """The packets that nftables was seen to handle, in order."""
    rules = {
        (c["node"], c["family"], c["table"], c["chain"]): _rules(c["text"])
        for c in record["chains"]
    }
    packets: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for step in record["steps"]:
        packets.setdefault((step["node"], step["packet"]), []).append(step)
    return [
        passage
        for (node, _), steps in packets.items()
        if (passage := _passage(node, steps, rules, probe, tunnels))
    ]


def _passage(
    node: str,
    steps: list[dict[str, Any]],
    rules: dict[tuple[str, str, str, str], dict[int, str]],
    probe: Probe,
    tunnels: Container[tuple[str, str]],
) -> Passage | None:
    first = next((step for step in steps if step["network"]), None)
    if first is None:
        return None
    network = bytes.fromhex(first["network"])
    size = IPV6_HEADER if network[:1] and network[0] >> 4 == 6 else IP_HEADER
    data = network[:size] + bytes.fromhex(first["transport"])
    header, packet = read_header(data, probe, tunnels), read_packet(data)
    if header is None or packet is None:
        return None
    # An error quotes its packet beyond what the kernel tells of it.
    is_error = not packet.part.start and bool(packet.data) and read_error(packet) is not None
    return Passage(
        node=node,
        iif=first["iif"],
        way=header.way,
        about_error=is_error,
        part=header.part,
        tunnel=header.tunnel,
        filters=tuple(_filters(steps, rules)),
    )


def _filters(
    steps: Iterable[dict[str, Any]], rules: dict[tuple[str, str, str, str], dict[int, str]]
) -> Iterable[Filter]:
    for step in steps:
        key = step["node"], step["family"], step["table"], step["chain"]
        table = f"{step['family']} {step['table']}"
        if step["kind"] == "policy":
            rule = f"policy {step['verdict']}"
            yield Filter(table, step["chain"], rule, step["verdict"])
        elif step["kind"] == "rule" and step["handle"]:
            text = rules.get(key, {}).get(step["handle"], f"rule {step['handle']}")
            comment = _COMMENT.search(text)
            rule = _COUNTER.sub("", _COMMENT.sub("", text)).strip()
            yield Filter(table, step["chain"], rule, step["verdict"], comment[1] if comment else "")


def _rules(listing: str) -> dict[int, str]:
    """The rules of a chain by their handles."""
    return {int(match["handle"]): match["text"] for match in _RULE.finditer(listing)}
