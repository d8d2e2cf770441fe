"""Racks of every form factor: what is derived, and what AWS does not offer."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Network

import pytest

from testbed.errors import TopologyError
from testbed.topology.file.load import loads
from testbed.topology.form_factors import RACKS
from testbed.topology.model import Rack
from testbed.topology.numbers import Numbers

HEAD = """
testbed: 1
name: shapes
region: {name: us-west-2}
vpcs: {app: {cidr: 10.77.0.0/16, subnets: {rack: {cidr: 10.77.7.0/24, outpost: op}}}}
"""
SHAPES = {  # form factor, compute racks, customer devices
    "first": ("rack", 1, 2),
    "first, one device": ("rack", 1, 1),
    "first, three racks": ("rack", 3, 2),
    "ace": ("rack-with-ace", 4, 4),
    "ace, two devices": ("rack-with-ace", 1, 2),
    "second": ("rack-2nd-generation", 1, 4),
    "second, two devices": ("rack-2nd-generation", 2, 2),
    "second, single rack": ("single-rack-2nd-generation", 1, 2),
}


def rack_of(outpost: str, devices: int) -> Rack:
    """The rack of a small topology with so many customer devices."""
    names = ", ".join(f"cnd{number}: {{}}" for number in range(1, devices + 1))
    text = f"{HEAD}outposts: {{op: {{{outpost}}}}}\nsite: {{devices: {{{names}}}}}\n"
    return loads(text).racks["op"]


def shaped(name: str) -> Rack:
    """A rack of one of SHAPES."""
    form_factor, racks, devices = SHAPES[name]
    return rack_of(f"form_factor: {form_factor}, compute_racks: {racks}", devices)


@pytest.mark.parametrize("name", SHAPES)
def test_a_rack_has_the_lags_of_its_form_factor(name: str) -> None:
    form_factor, racks, devices = SHAPES[name]
    rack, shape = shaped(name), RACKS[form_factor]
    assert len(rack.lags) == shape.devices(racks) * shape.lags_per_device
    assert [lag.number for lag in rack.lags] == list(range(1, len(rack.lags) + 1))
    assert set(Counter(lag.device for lag in rack.lags).values()) == {shape.lags_per_device}
    ends = Counter(lag.customer_device for lag in rack.lags)
    assert len(ends) == devices
    assert len(set(ends.values())) == 1  # shared out evenly


@pytest.mark.parametrize("name", SHAPES)
def test_its_virtual_interfaces_are_its_own(name: str) -> None:
    rack = shaped(name)
    vifs = [vif for lag in rack.lags for vif in lag.vifs]
    assert len({vif.local_address.network for vif in vifs}) == len(vifs)
    assert {len(lag.vifs) for lag in rack.lags} == {2}
    lengths = {vif.local_address.network.prefixlen for vif in vifs}
    assert lengths == {31}


@pytest.mark.parametrize("name", SHAPES)
def test_every_prefix_is_announced_short_by_somebody(name: str) -> None:
    rack = shaped(name)
    link = rack.service_link
    for entry in link.prefixes:
        lengths = [link.path_length(device, entry.prefix) for device in rack.devices]
        assert lengths.count(1) == len(entry.owners) > 0
        assert set(lengths) <= {1, 4}
    addresses = sum(prefix.num_addresses for prefix in link.announced)
    assert addresses == sum(cidr.num_addresses for cidr in link.infrastructure_cidrs)


def test_infrastructure_subnets_are_as_long_as_aws_has_them() -> None:
    three = shaped("first, three racks").service_link
    assert [cidr.prefixlen for cidr in three.infrastructure_cidrs] == [26, 26, 26]
    assert {entry.prefix.prefixlen for entry in three.prefixes} == {27}
    second = shaped("second").service_link
    assert [cidr.prefixlen for cidr in second.infrastructure_cidrs] == [24]
    assert second.announced == second.infrastructure_cidrs


def test_the_single_rack_has_a_lag_to_each_device() -> None:
    rack = shaped("second, single rack")
    for device in rack.devices:
        assert {lag.customer_device for lag in rack.lags_of(device)} == {"cnd1", "cnd2"}


def test_a_drained_device_announces_everything_long() -> None:
    rack = rack_of("drained: [1]", 2)
    link = rack.service_link
    assert {link.path_length(1, prefix, rack.drained) for prefix in link.announced} == {4}
    assert {link.path_length(2, prefix, rack.drained) for prefix in link.announced} == {1}


def test_numbers_of_other_racks_are_left_alone() -> None:
    """A rack of four LAGs takes no number that another rack has for itself."""
    text = f"{HEAD}outposts: {{op: {{}}, big: {{form_factor: rack-2nd-generation}}, last: {{}}}}\n"
    topology = loads(text)
    alone = loads(f"{HEAD}outposts: {{op: {{}}, big: {{}}, last: {{}}}}\n")
    for name in ("op", "last"):
        assert topology.racks[name] == alone.racks[name]
    networks = [
        vif.local_address.network
        for rack in topology.racks.values()
        for lag in rack.lags
        for vif in lag.vifs
    ]
    assert len(set(networks)) == len(networks)


LONG_SUBNET = "service_link: {vifs: [{device: 1, local_address: 10.9.0.1/30}]}"
REFUSED = {
    "four racks without ACE": (
        "compute_racks: 4",
        2,
        "compute_racks: is 4, but a first-generation rack has 1 to 3",
    ),
    "ACE with 1G": (
        "form_factor: rack-with-ace, uplinks: {speed: 1G}",
        2,
        "speed: 1G uplinks: a first-generation rack with an ACE rack has 10G, 40G, 100G",
    ),
    "three devices": (
        "form_factor: rack-2nd-generation, devices: [cnd1, cnd2, cnd3]",
        3,
        "devices: must have 2 or 4 entries, one for each LAG or for each in turn, has 3",
    ),
    "one device for the second generation": (
        "form_factor: rack-2nd-generation, devices: [cnd1, cnd1]",
        2,
        "names 1 customer devices, but a second-generation rack with a network rack is connected",
    ),
    "a single rack with both LAGs to one device": (
        "form_factor: single-rack-2nd-generation, devices: [cnd1, cnd1, cnd2, cnd2]",
        2,
        "networking device 1 has two LAGs to cnd1, but needs one to each customer device",
    ),
    "a /26 for the second generation": (
        "form_factor: rack-2nd-generation, service_link: {infrastructure_cidr: 10.1.0.0/26}",
        2,
        "a second-generation Outpost's infrastructure subnet is a /24",
    ),
    "a /30 for the second generation": (
        f"form_factor: rack-2nd-generation, {LONG_SUBNET}",
        2,
        "a VIF's point-to-point subnet is a /31",
    ),
    "a VIF without its LAG": (
        "form_factor: single-rack-2nd-generation, service_link: {vifs: [{device: 1, vlan: 7}]}",
        2,
        "does not say its LAG: a networking device has 2",
    ),
    "a LAG that there is none of": (
        "form_factor: rack-2nd-generation, service_link: {vifs: [{device: 5, vlan: 7}]}",
        2,
        "device: is 5, but a second-generation rack with a network rack has 1 to 4",
    ),
    "a drained device that there is none of": ("drained: [3]", 2, "networking devices 1 to 2"),
    "uplinks of another table": (
        "form_factor: single-rack-2nd-generation, uplinks: {speed: 40G, per_device: 8}",
        2,
        "8 uplinks of 40G per LAG: AWS offers 1, 2, 4",
    ),
    "too few infrastructure subnets": (
        "compute_racks: 2, service_link: {infrastructure_cidrs: [10.1.0.0/26]}",
        2,
        "has 1, but a first-generation rack of 2 compute racks has 2",
    ),
    "routing domains of the first generation": (
        "local_gateway: {routing_domains: {one: {}}}",
        2,
        "a first-generation rack has no routing domains",
    ),
    "one site device for four": ("form_factor: rack-2nd-generation", 1, "needs 2 or 4 customer"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_aws_does_not_offer_is_refused(name: str) -> None:
    outpost, devices, message = REFUSED[name]
    with pytest.raises(TopologyError) as error:
        rack_of(outpost, devices)
    problems = [str(problem) for problem in error.value.problems]
    assert any(message in problem for problem in problems), problems
    assert len(problems) == 1, problems


def test_the_networks_of_several_racks_do_not_overlap() -> None:
    many = ", ".join(f"op{n}: {{form_factor: rack-2nd-generation}}" for n in range(20))
    topology = loads(f"{HEAD.replace('outpost: op', 'outpost: op0')}outposts: {{{many}}}\n")
    cidrs = [c for r in topology.racks.values() for c in r.service_link.infrastructure_cidrs]
    assert len(set(cidrs)) == 20
    assert all(cidr.subnet_of(IPv4Network("10.200.128.0/17")) for cidr in cidrs)


def test_ten_routing_domains_have_vifs_of_their_own() -> None:
    names = ", ".join(f"d{number}: {{}}" for number in range(10))
    rack = rack_of(
        f"form_factor: rack-2nd-generation, local_gateway: {{routing_domains: {{{names}}}}}", 4
    )
    assert [domain.number for domain in rack.domains] == list(range(1, 11))
    assert {domain.vrf for domain in rack.domains} == {domain.name for domain in rack.domains}
    for lag in rack.lags:
        assert len({vif.vlan for vif in lag.vifs}) == len(lag.vifs) == 11
    networks = [vif.local_address.network for lag in rack.lags for vif in lag.vifs]
    assert len(set(networks)) == 44


def test_an_eleventh_routing_domain_is_refused() -> None:
    names = ", ".join(f"d{number}: {{}}" for number in range(11))
    with pytest.raises(TopologyError, match="must have at most 10 entries, has 11"):
        rack_of(
            f"form_factor: rack-2nd-generation, local_gateway: {{routing_domains: {{{names}}}}}", 4
        )


def test_a_routing_domain_keeps_its_numbers_when_another_one_goes() -> None:
    """What is beside it is not touched: neither VLANs nor addresses."""
    text = (
        f"{HEAD}outposts: {{op: {{form_factor: rack-2nd-generation,"
        " local_gateway: {routing_domains: {one: {}, two: {}}}}}\n"
    )
    before = loads(text)
    numbers = Numbers(before.numbers.to_json())
    after = loads(text.replace("one: {}, ", ""), numbers=numbers)
    old, new = before.racks["op"], after.racks["op"]
    assert new.domain("two") == old.domain("two")
    for lag, other in zip(old.lags, new.lags, strict=True):
        assert other.local_gateway("two") == lag.local_gateway("two")
