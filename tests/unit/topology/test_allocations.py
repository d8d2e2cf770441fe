"""Addresses that are allocated by name: whose they are, and that they stay what they are."""

from __future__ import annotations

from ipaddress import IPv4Address

from testbed.topology.document import Document, resolve
from testbed.topology.editing import (
    allocate_address,
    associate_address,
    disassociate_address,
    release_address,
    together,
)
from testbed.topology.file.position import compose
from testbed.topology.model import AllocatedAddress, Topology
from testbed.topology.numbers import Numbers

TEXT = """\
testbed: 1
name: t
region: {name: us-west-2, zones: [us-west-2a], elastic_ip_cidr: 203.0.113.0/28}
vpcs:
  app:
    cidr: 10.1.0.0/16
    internet_gateway: true
    subnets: {rack: {cidr: 10.1.3.0/24, outpost: op}, cloud: {cidr: 10.1.4.0/24}}
    nat_gateways: {nat: {subnet: cloud, elastic_ip: out}}
outposts:
  op: {local_gateway: {mode: coip, coip_pools: {campus: {cidrs: [172.20.0.0/26]}}}}
addresses:
  out: {}
  shop: {address: 203.0.113.1}
  till: {pool: op/campus}
instances:
  a: {subnet: rack, elastic_ip: auto, customer_owned_ip: auto}
  b: {subnet: rack, elastic_ip: shop, customer_owned_ip: till}
"""


def document() -> Document:
    return Document(compose(TEXT).root.plain())


def elastic_ips(topology: Topology) -> dict[str, str]:
    """The Elastic IPs of primary addresses, by the name of the interface."""
    return {
        interface.name: str(public)
        for interface in topology.network_interfaces.values()
        for _, public in interface.elastic_ips
    }


def test_a_name_stands_for_an_address_that_nobody_else_gets() -> None:
    topology = resolve(document())
    assert topology.addresses == {
        "out": AllocatedAddress("out", IPv4Address("203.0.113.2")),
        "shop": AllocatedAddress("shop", IPv4Address("203.0.113.1")),
        "till": AllocatedAddress("till", IPv4Address("172.20.0.1"), ("op", "campus")),
    }
    assert elastic_ips(topology) == {
        "a": "203.0.113.3",
        "b": "203.0.113.1",
        "app.nat": "203.0.113.2",
    }
    owned = {i.name: str(i.customer_owned_ip) for i in topology.network_interfaces.values()}
    assert (owned["a"], owned["b"]) == ("172.20.0.2", "172.20.0.1")


def test_it_stays_what_it_is_whoever_has_it() -> None:
    numbers = Numbers()
    before = resolve(document(), numbers)
    moved = together(
        release_address(allocation="spare"),
        disassociate_address(instance="a"),
        disassociate_address(instance="a", customer_owned=True),
        disassociate_address(allocation="till"),
        associate_address(instance="a", allocation="till"),
        allocate_address(allocation="late"),
        associate_address(instance="a", allocation="late"),
    )
    spare = allocate_address(allocation="spare")(document())
    after = resolve(moved(spare), Numbers(numbers.to_json()))
    assert {name: after.addresses[name] for name in before.addresses} == before.addresses
    assert after.network_interfaces["a"].customer_owned_ip == before.addresses["till"].address
    assert elastic_ips(after)["a"] == str(after.addresses["late"].address)


def test_what_nobody_has_is_kept_from_others() -> None:
    several = [allocate_address(allocation=f"n{number}") for number in range(10)]
    topology = resolve(together(*several)(document()))
    taken = [*elastic_ips(topology).values()]
    taken += [str(each.address) for each in topology.addresses.values() if each.name[0] == "n"]
    assert len(set(taken)) == len(taken) == 13
