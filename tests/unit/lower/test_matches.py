"""Rules of security groups as disjoint set elements: they match what the rules match."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from testbed.lower.vpc import matches
from testbed.topology.model import Traffic

BASE = int(IPv4Address("10.0.0.0"))

cidrs = st.builds(
    lambda offset, length: IPv4Network((BASE + offset, length), strict=False),
    st.integers(0, 63),
    st.integers(26, 32),
)
ports = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda p: (min(p), max(p)))
traffics = st.one_of(
    st.just(Traffic()),
    st.builds(Traffic, st.sampled_from([6, 17]), st.none() | ports),
    st.builds(Traffic, st.just(1), st.none(), st.integers(0, 2), st.none() | st.integers(0, 2)),
    st.builds(Traffic, st.sampled_from([1, 47, 50])),
)
rules = st.lists(st.tuples(traffics, cidrs), max_size=8)


def allows(rule: tuple[Traffic, IPv4Network], protocol: int, selector: int, address: int) -> bool:
    """Whether a rule allows a packet, said in the plainest way."""
    traffic, cidr = rule
    if IPv4Address(address) not in cidr or traffic.protocol not in {None, protocol}:
        return False
    if protocol == 1:
        kind, code = divmod(selector, 256)
        return traffic.icmp_type in {None, kind} and traffic.icmp_code in {None, code}
    low, high = traffic.ports or (0, 65535)
    return low <= selector <= high


def within(span: str, number: int) -> bool:
    low, _, high = span.partition("-")
    return int(low) <= number <= int(high or low)


@given(rules, st.sampled_from([1, 6, 17]), st.integers(0, 600), st.integers(BASE, BASE + 63))
def test_one_element_matches_what_a_rule_allows(
    given_rules: list[tuple[Traffic, IPv4Network]], protocol: int, selector: int, address: int
) -> None:
    """And never more than one: an interval set refuses entries that overlap."""
    found = [
        element
        for element in (e.split(" . ") for e in matches.address_elements(given_rules))
        if int(element[0]) == protocol
        and within(element[1], selector)
        and IPv4Address(address) in IPv4Network(element[2])
    ]
    wanted = any(allows(rule, protocol, selector, address) for rule in given_rules)
    assert len(found) == wanted


@given(rules, st.sampled_from([2, 47, 50, 255]), st.integers(BASE, BASE + 63))
def test_other_protocols_are_matched_by_number(
    given_rules: list[tuple[Traffic, IPv4Network]], protocol: int, address: int
) -> None:
    found = [
        element
        for element in (e.split(" . ") for e in matches.other_elements(given_rules))
        if within(element[0], protocol) and IPv4Address(address) in IPv4Network(element[1])
    ]
    assert len(found) == any(allows(rule, protocol, 0, address) for rule in given_rules)


@given(st.lists(traffics, max_size=8), st.sampled_from([1, 6, 17]), st.integers(0, 600))
def test_kinds_without_addresses(
    given_traffics: list[Traffic], protocol: int, selector: int
) -> None:
    everywhere = IPv4Network("0.0.0.0/0")
    found = [
        element
        for element in (e.split(" . ") for e in matches.kind_elements(given_traffics))
        if int(element[0]) == protocol and within(element[1], selector)
    ]
    assert len(found) == any(
        allows((t, everywhere), protocol, selector, BASE) for t in given_traffics
    )


def test_what_overlaps_is_cut_and_what_touches_is_joined() -> None:
    everywhere, office = IPv4Network("10.0.0.0/8"), IPv4Network("10.1.0.0/16")
    found = matches.address_elements(
        [(Traffic(6, (80, 90)), everywhere), (Traffic(6, (85, 100)), office)]
    )
    assert found == ["6 . 80-90 . 10.0.0.0/8", "6 . 91-100 . 10.1.0.0/16"]
