"""What the kernel makes of a node's routes: IPv4 and IPv6 kept apart."""

from __future__ import annotations

import pytest

from testbed.plan.effective import NodeView, network_of
from testbed.plan.model import Dummy, Interface, Node, Route


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
    view = NodeView(Node("n", "n", "n", interfaces=interfaces))
    assert view.device_of(Route("::/0", via="2001:db8::2")) == "six"
    assert view.device_of(Route("0.0.0.0/0", via="32.1.13.184")) == "four"
    assert view.device_of(Route("::/0", via="2001:dead::2")) is None
