"""What the kernel makes of a node's routes: IPv4 and IPv6 kept apart."""

from __future__ import annotations

import pytest

from testbed.plan.diff import diff
from testbed.plan.effective import NodeView, network_of
from testbed.plan.model import (
    TABLE_MAIN,
    Dummy,
    Interface,
    Neighbor,
    Nexthop,
    Node,
    Plan,
    Route,
    Vlan,
)
from testbed.plan.roles import Role
from testbed.plan.steps import AddAddress, SetInterface, SetNeighbor, SetRoute


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1/8", (10, 8, 32)),
        ("10.0.0.1", (0x0A000001, 32, 32)),
        ("::/0", (0, 0, 128)),
        ("2001:db8::1/32", (0x20010DB8, 32, 128)),
    ],
)
def test_networks(address: str, network: tuple[int, int, int]) -> None:
    assert network_of(address) == network


def test_the_interface_of_a_route_is_one_of_its_family() -> None:
    """2001:db8::/32 as a number is that of an IPv4 address, too."""
    interfaces = (
        Interface("four", Dummy(), addresses=("32.1.13.184/32",)),
        Interface("six", Dummy(), addresses=("2001:db8::1/32",)),
    )
    view = NodeView(Node("n", Role.HOST, "n", interfaces=interfaces))
    assert view.device_of(Route("::/0", via="2001:db8::2")) == "six"
    assert view.device_of(Route("0.0.0.0/0", via="32.1.13.184")) == "four"
    assert view.device_of(Route("::/0", via="2001:dead::2")) is None


def small(mtu: int | None) -> Plan:
    """A plan whose node has an interface of this MTU, with a VLAN, and both families on them."""
    interfaces = (
        Interface("eth0", Dummy(), mtu=mtu, addresses=("10.0.0.1/24", "fd00::1/64")),
        Interface("eth0.7", Vlan("eth0", 7), addresses=("10.7.0.1/24", "fd00:7::1/64")),
        Interface("eth1", Dummy(), addresses=("10.1.0.1/24", "fd00:1::1/64")),
    )
    routes = (
        Route("0.0.0.0/0", via="10.0.0.2"),
        Route("::/0", via="fd00::2"),
        Route("fd01::/16", dev="eth0.7"),
        Route("fd02::/16", nexthops=(Nexthop("fd00::2", "eth0"), Nexthop("fd00:1::2", "eth1"))),
    )
    neighbors = (Neighbor("eth0", "fd00::2", "02:00:00:00:00:02"),)
    node = Node("n", Role.HOST, "n", interfaces=interfaces, routes=routes, neighbors=neighbors)
    return Plan("p", (node,))


def test_an_interface_below_the_least_mtu_of_ipv6_has_none_of_it() -> None:
    view = NodeView(small(1279).nodes[0])
    assert view.address_keys("eth0") == ("10.0.0.1/24",)
    assert view.address_keys("eth0.7") == ("10.7.0.1/24",)
    assert view.address_keys("eth1") == ("10.1.0.1/24", "fd00:1::1/64")
    assert [route.destination for route in view.routes.values()] == ["0.0.0.0/0", "fd02::/16"]
    assert view.routes[(TABLE_MAIN, "fd02::/16", 0)].nexthops == (Nexthop("fd00:1::2", "eth1"),)
    assert not view.neighbors


def test_ipv6_comes_back_with_the_mtu() -> None:
    steps = diff(small(1000), small(1280))
    added = {(step.interface, step.address) for step in steps if isinstance(step, AddAddress)}
    assert {("eth0", "fd00::1/64"), ("eth0.7", "fd00:7::1/64")} <= added
    routes = [step.route.destination for step in steps if isinstance(step, SetRoute)]
    assert {"::/0", "fd01::/16", "fd02::/16"} <= set(routes)
    assert [step for step in steps if isinstance(step, SetNeighbor)]
    mtu = next(n for n, step in enumerate(steps) if isinstance(step, SetInterface))
    assert mtu < min(n for n, step in enumerate(steps) if isinstance(step, AddAddress))
