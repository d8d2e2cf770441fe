"""Protocols, ports and ICMP types: EC2's numbers and the document's words."""

from __future__ import annotations

from typing import Any

from testbed.topology.editing.tree import Data
from testbed.topology.values import PROTOCOLS

NUMBERS = {str(number): name for name, number in PROTOCOLS.items()} | {"-1": "all"}
ALL_PORTS = (0, 65535)


def protocol(value: str | int) -> str | int:
    """Return a protocol as the document has it: EC2's -1 is all, 6 is tcp and so on."""
    text = str(value).lower()
    if text in NUMBERS:
        return NUMBERS[text]
    return int(text) if text.isdigit() else text


def ports(first: int | None, last: int | None) -> Data:
    """Return the key for a range of ports; none for all of them, or EC2's -1."""
    if first in (None, -1):
        return {}
    last = first if last is None else last
    if (first, last) == ALL_PORTS:
        return {}
    return {"ports": first if first == last else f"{first}-{last}"}


def icmp(kind: int | None, code: int | None) -> Data:
    """Return the keys for an ICMP type and code; none for all, or EC2's -1."""
    values = {"icmp_type": kind, "icmp_code": code}
    return {key: value for key, value in values.items() if value not in (None, -1)}


def same_traffic(one: Data, other: Data) -> bool:
    """Whether two rules are about the same packets, however they are written."""
    return _canonical(one) == _canonical(other)


def _canonical(rule: Data) -> tuple[Any, ...]:
    first, _, last = str(rule.get("ports", "0-65535")).partition("-")
    return (
        str(protocol(rule["protocol"])),
        (first, last or first),
        rule.get("icmp_type"),
        rule.get("icmp_code"),
    )
