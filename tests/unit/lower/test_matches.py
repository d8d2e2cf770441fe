"""Rules of security groups as disjoint set elements: they match what the rules match."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from testbed.lower.vpc import matches
from testbed.lower.vpc.families import IPV4, IPV6, Cidr, Family
from testbed.topology.model import Traffic

BASES = {IPV4: IPv4Address("10.0.0.0"), IPV6: IPv6Address("2001:db8::")}
LAST_BITS = 6
ICMP_OF = {IPV4: 1, IPV6: 58}
OTHERS = {IPV4: [2, 47, 50, 58, 255], IPV6: [1, 2, 47, 50, 255]}
ports = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda p: (min(p), max(p)))
traffics = st.one_of(
    st.just(Traffic()),
    st.builds(Traffic, st.sampled_from([6, 17]), st.none() | ports),
    st.builds(
        Traffic,
        st.sampled_from([1, 58]),
        st.none(),
        st.integers(0, 2),
        st.none() | st.integers(0, 2),
    ),
    st.builds(Traffic, st.sampled_from([1, 47, 50, 58])),
)
families = st.sampled_from([IPV4, IPV6])
offsets = st.integers(0, 2**LAST_BITS - 1)


def cidrs(family: Family) -> st.SearchStrategy[Cidr]:
    base = BASES[family]

    def block(offset: int, bits: int) -> Cidr:
        return ip_network(f"{base + offset}/{family.everywhere.max_prefixlen - bits}", strict=False)

    return st.builds(block, offsets, st.integers(0, LAST_BITS))


@st.composite
def cases(
    draw: st.DrawFn, protocols: dict[Family, list[int]]
) -> tuple[Family, list[tuple[Traffic, Cidr]], int]:
    """A family, rules for it, and a protocol to ask about."""
    family = draw(families)
    rules = draw(st.lists(st.tuples(traffics, cidrs(family)), max_size=8))
    return family, rules, draw(st.sampled_from(protocols[family]))


def allows(
    family: Family, rule: tuple[Traffic, Cidr], protocol: int, selector: int, offset: int
) -> bool:
    """Whether a rule allows a packet, said in the plainest way."""
    traffic, cidr = rule
    if BASES[family] + offset not in cidr or traffic.protocol not in {None, protocol}:
        return False
    if protocol not in {6, 17, ICMP_OF[family]}:
        return True
    if protocol == ICMP_OF[family]:
        kind, code = divmod(selector, 256)
        return traffic.icmp_type in {None, kind} and traffic.icmp_code in {None, code}
    low, high = traffic.ports or (0, 65535)
    return low <= selector <= high


def within(span: str, number: int) -> bool:
    low, _, high = span.partition("-")
    return int(low) <= number <= int(high or low)


SELECTORS = {family: [6, 17, icmp] for family, icmp in ICMP_OF.items()}


@given(cases(SELECTORS), st.integers(0, 600), offsets)
def test_one_element_matches_what_a_rule_allows(
    case: tuple[Family, list[tuple[Traffic, Cidr]], int], selector: int, offset: int
) -> None:
    """And never more than one: an interval set refuses entries that overlap."""
    family, rules, protocol = case
    found = [
        element
        for element in (e.split(" . ") for e in matches.address_elements(family, rules))
        if int(element[0]) == protocol
        and within(element[1], selector)
        and BASES[family] + offset in ip_network(element[2])
    ]
    assert len(found) == any(allows(family, rule, protocol, selector, offset) for rule in rules)


@given(cases(OTHERS), offsets)
def test_other_protocols_are_matched_by_number(
    case: tuple[Family, list[tuple[Traffic, Cidr]], int], offset: int
) -> None:
    """ICMP over IPv6 and ICMPv6 over IPv4 are among them: they mean nothing there."""
    family, rules, protocol = case
    found = [
        element
        for element in (e.split(" . ") for e in matches.other_elements(family, rules))
        if within(element[0], protocol) and BASES[family] + offset in ip_network(element[1])
    ]
    assert len(found) == any(allows(family, rule, protocol, 0, offset) for rule in rules)


@given(cases(SELECTORS), st.integers(0, 600))
def test_kinds_without_addresses(
    case: tuple[Family, list[tuple[Traffic, Cidr]], int], selector: int
) -> None:
    family, rules, protocol = case
    given_traffics = [traffic for traffic, _ in rules]
    found = [
        element
        for element in (e.split(" . ") for e in matches.kind_elements(family, given_traffics))
        if int(element[0]) == protocol and within(element[1], selector)
    ]
    assert len(found) == any(
        allows(family, (traffic, family.everywhere), protocol, selector, 0)
        for traffic in given_traffics
    )


def test_what_overlaps_is_cut_and_what_touches_is_joined() -> None:
    everywhere, office = IPv4Network("10.0.0.0/8"), IPv4Network("10.1.0.0/16")
    found = matches.address_elements(
        IPV4, [(Traffic(6, (80, 90)), everywhere), (Traffic(6, (85, 100)), office)]
    )
    assert found == ["6 . 80-90 . 10.0.0.0/8", "6 . 91-100 . 10.1.0.0/16"]
