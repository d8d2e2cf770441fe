"""Sets of packet kinds for nftables, made disjoint.

An interval set of nftables refuses entries that overlap, which the rules of
a security group may: what a group allows is cut into pieces that don't.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import collapse_addresses

from testbed.lower.vpc.families import Cidr, Family
from testbed.topology.model import Traffic

EVERY_SELECTOR = (0, 65535)
EVERY_PROTOCOL = range(256)

ProtocolRange = tuple[int, tuple[int, int]]
"""A protocol with a range of its selectors."""


def kinds(family: Family, traffic: Traffic) -> Iterator[ProtocolRange]:
    """What `traffic` is about, for the protocols that have a selector."""
    for protocol in family.with_selector:
        if traffic.protocol not in {None, protocol}:
            continue
        selectors = traffic.ports or EVERY_SELECTOR
        if protocol == family.icmp and traffic.icmp_type is not None:
            lowest = traffic.icmp_type * 256
            code = traffic.icmp_code
            selectors = (lowest, lowest + 255) if code is None else (lowest + code, lowest + code)
        yield protocol, selectors


def others(family: Family, traffic: Traffic) -> list[int]:
    """The protocols without a selector that `traffic` is about."""
    if traffic.protocol is None:
        return [number for number in EVERY_PROTOCOL if number not in family.with_selector]
    return [] if traffic.protocol in family.with_selector else [traffic.protocol]


def _pieces(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges cut at each other's ends."""
    ranges = list(ranges)
    starts = sorted({low for low, _ in ranges} | {high + 1 for _, high in ranges})
    return [
        (low, following - 1)
        for low, following in itertools.pairwise(starts)
        if any(a <= low and following - 1 <= b for a, b in ranges)
    ]


def _merged(
    pieces: Iterable[tuple[tuple[int, int], object]],
) -> list[tuple[tuple[int, int], object]]:
    """Neighbouring ranges of the same value as one."""
    done: list[tuple[tuple[int, int], object]] = []
    for (low, high), value in pieces:
        if done and done[-1][1] == value and done[-1][0][1] + 1 == low:
            done[-1] = ((done[-1][0][0], high), value)
        else:
            done.append(((low, high), value))
    return done


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _disjoint(
    rules: Iterable[tuple[tuple[int, int], Cidr]],
) -> list[tuple[str, Cidr]]:
    """Disjoint (range, CIDR block) pairs that together are the `rules`, of one family."""
    rules = list(rules)

    def during(low: int, high: int) -> tuple[Cidr, ...]:
        there = [cidr for (first, last), cidr in rules if first <= low and high <= last]
        return tuple(collapse_addresses(there))  # type: ignore[type-var]

    pieces = ((piece, during(*piece)) for piece in _pieces(span for span, _ in rules))
    return [
        (_span(*span), cidr)
        for span, cidrs in _merged(pieces)
        for cidr in cidrs  # type: ignore[attr-defined]
    ]


def kind_elements(family: Family, traffics: Iterable[Traffic]) -> list[str]:
    """Elements of type ``inet_proto . inet_service`` for what the rules are about."""
    triples = _kinds_by_protocol(family, tuple((t, family.everywhere) for t in traffics))
    return [f"{protocol} . {span}" for protocol, span, _ in triples]


def address_elements(family: Family, rules: Iterable[tuple[Traffic, Cidr]]) -> list[str]:
    """Elements of type ``inet_proto . inet_service . ADDRESS`` for rules of one family."""
    triples = _kinds_by_protocol(family, tuple(rules))
    return [f"{protocol} . {span} . {cidr}" for protocol, span, cidr in triples]


@lru_cache(1 << 12)
def _kinds_by_protocol(
    family: Family, rules: tuple[tuple[Traffic, Cidr], ...]
) -> tuple[tuple[int, str, Cidr], ...]:
    """Make rules disjoint, which stay the same from one edit to the next most of the time."""
    found: list[tuple[int, str, Cidr]] = []
    for protocol in family.with_selector:
        spans = [
            (span, cidr)
            for traffic, cidr in rules
            for number, span in kinds(family, traffic)
            if number == protocol
        ]
        found += [(protocol, span, cidr) for span, cidr in _disjoint(spans)]
    return tuple(found)


def other_elements(family: Family, rules: Iterable[tuple[Traffic, Cidr]]) -> list[str]:
    """Elements of type ``inet_proto . ADDRESS``, for the protocols without a selector."""
    spans = [
        ((number, number), cidr) for traffic, cidr in rules for number in others(family, traffic)
    ]
    return [f"{span} . {cidr}" for span, cidr in _disjoint(spans)]
