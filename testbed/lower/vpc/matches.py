"""Sets of packet kinds for nftables, made disjoint.

An interval set of nftables refuses entries that overlap, which the rules of
a security group may: what a group allows is cut into pieces that don't.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, collapse_addresses

from testbed.topology.model import Traffic

TCP, UDP, ICMP = 6, 17, 1
WITH_SELECTOR = (ICMP, TCP, UDP)
"""Protocols with 16 bits to select by: the destination port, or ICMP's type and code."""
EVERY_SELECTOR = (0, 65535)
EVERY_PROTOCOL = range(256)

Kind = tuple[int, tuple[int, int]]
"""A protocol with a range of its selectors."""


def kinds(traffic: Traffic) -> Iterator[Kind]:
    """What `traffic` is about, for the protocols that have a selector."""
    for protocol in WITH_SELECTOR:
        if traffic.protocol not in {None, protocol}:
            continue
        selectors = traffic.ports or EVERY_SELECTOR
        if protocol == ICMP and traffic.icmp_type is not None:
            lowest = traffic.icmp_type * 256
            code = traffic.icmp_code
            selectors = (lowest, lowest + 255) if code is None else (lowest + code, lowest + code)
        yield protocol, selectors


def others(traffic: Traffic) -> list[int]:
    """The protocols without a selector that `traffic` is about."""
    if traffic.protocol is None:
        return [number for number in EVERY_PROTOCOL if number not in WITH_SELECTOR]
    return [] if traffic.protocol in WITH_SELECTOR else [traffic.protocol]


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
    rules: Iterable[tuple[tuple[int, int], IPv4Network]],
) -> list[tuple[str, IPv4Network]]:
    """Disjoint (range, CIDR block) pairs that together are the `rules`."""
    rules = list(rules)
    pieces = (
        (
            piece,
            tuple(collapse_addresses(c for (a, b), c in rules if a <= piece[0] and piece[1] <= b)),
        )
        for piece in _pieces(span for span, _ in rules)
    )
    return [
        (_span(*span), cidr)
        for span, cidrs in _merged(pieces)
        for cidr in cidrs  # type: ignore[attr-defined]
    ]


def kind_elements(traffics: Iterable[Traffic]) -> list[str]:
    """Elements of type ``inet_proto . inet_service`` for what the rules are about."""
    everywhere = IPv4Network("0.0.0.0/0")
    triples = _kinds_by_protocol((traffic, everywhere) for traffic in traffics)
    return [f"{protocol} . {span}" for protocol, span, _ in triples]


def address_elements(rules: Iterable[tuple[Traffic, IPv4Network]]) -> list[str]:
    """Elements of type ``inet_proto . inet_service . ipv4_addr``."""
    triples = _kinds_by_protocol(rules)
    return [f"{protocol} . {span} . {cidr}" for protocol, span, cidr in triples]


def _kinds_by_protocol(
    rules: Iterable[tuple[Traffic, IPv4Network]],
) -> Iterator[tuple[int, str, IPv4Network]]:
    rules = list(rules)
    for protocol in WITH_SELECTOR:
        spans = [
            (span, cidr)
            for traffic, cidr in rules
            for number, span in kinds(traffic)
            if number == protocol
        ]
        for span, cidr in _disjoint(spans):
            yield protocol, span, cidr


def other_elements(rules: Iterable[tuple[Traffic, IPv4Network]]) -> list[str]:
    """Elements of type ``inet_proto . ipv4_addr``, for the protocols without a selector."""
    spans = [((number, number), cidr) for traffic, cidr in rules for number in others(traffic)]
    return [f"{span} . {cidr}" for span, cidr in _disjoint(spans)]
