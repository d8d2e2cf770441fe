"""Security groups where a packet comes by several interfaces, and across peered VPCs."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.testing import Node, Testbed

TOPOLOGY = Path(__file__).with_name("grouped-appliance.yaml")
pytestmark = [pytest.mark.packets, pytest.mark.topology(str(TOPOLOGY))]

CONNECT = """
import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1)
"""


def connects(client: Node, server: Node, port: int) -> bool:
    """Whether a TCP connection comes about."""
    argv = ["python3", "-c", CONNECT, server.address, str(port)]
    return not client.run(argv, check=False).returncode


@pytest.fixture
def router(testbed: Testbed) -> Testbed:
    """The testbed, with the firewall forwarding."""
    testbed["firewall"].run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
    return testbed


def test_each_interface_on_the_way_has_its_say(router: Testbed) -> None:
    """The firewall lets everything through, the server's group only port 80 of the client."""
    client, server = router["client"], router["server"]
    with router["firewall"].capture("eth1", "tcp dst port 7") as seen:
        assert not connects(client, server, 7)
    assert seen.packets  # it came as far as the server's interface
    assert connects(client, server, 80)
    assert not connects(router["other"], server, 80)
    assert client.http("http://server/").status == 200


def test_a_group_of_a_peered_vpc_may_be_named(router: Testbed) -> None:
    assert connects(router["client"], router["db"], 7)
    assert not connects(router["other"], router["db"], 7)
