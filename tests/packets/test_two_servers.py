"""Two Outposts servers: by the LAN their instances reach each other, by the Region they don't."""

from __future__ import annotations

import pytest

from testbed.errors import UsageError
from testbed.testing import Testbed

pytestmark = [
    pytest.mark.packets,
    pytest.mark.topology("topologies/two-servers.yaml"),
    pytest.mark.testbed(time="virtual"),
]


def test_servers_talk_to_each_other_on_the_lan(testbed: Testbed) -> None:
    assert testbed["n1"].http("http://n2/").status == 200
    assert testbed["hmi"].http("http://n1/").status == 200
    assert testbed["n1"].ping("control").ok


def test_the_region_lets_nothing_from_one_to_the_other(testbed: Testbed) -> None:
    assert not testbed["n1"].ping("10.80.2.4", count=1).ok


def test_a_server_without_its_lan_port_is_off_the_lan_only(testbed: Testbed) -> None:
    with testbed.fault("link-down", "site.lan-plant:lni-srv1"):
        assert not testbed["hmi"].ping("n1", count=1).ok
        assert testbed["hmi"].ping("n2").ok
        assert testbed["n1"].ping("control").ok


def handshakes(testbed: Testbed) -> list[bool]:
    """Whether each of a server's tunnels is up."""
    return [tunnel.up for tunnel in testbed.outpost("srv1").service_link()]


def test_a_servers_service_link_is_cut_where_its_tunnels_leave_it(testbed: Testbed) -> None:
    assert handshakes(testbed) == [True, True]
    with testbed.fault("service-link-cut", "srv1"):
        testbed.advance(200.0)  # a handshake counts for three minutes
        assert handshakes(testbed) == [False, False]
        assert not testbed["n1"].ping("control", count=1).ok
        assert testbed["hmi"].http("http://n1/").status == 200
    testbed.eventually(lambda: testbed["n1"].ping("control", count=1).ok, 60.0)


def test_one_tunnel_of_a_server_is_cut(testbed: Testbed) -> None:
    with testbed.fault("service-link-cut", "srv1", tunnel=1):
        testbed.advance(200.0)
        assert handshakes(testbed) == [False, True]
        assert testbed["n1"].ping("control").ok


def test_a_servers_service_link_is_slow_and_its_management_away(testbed: Testbed) -> None:
    before = testbed["n1"].ping("control").rtt_ms
    with testbed.fault("service-link-slow", "srv1", delay=50.0):
        slow = testbed["n1"].ping("control").rtt_ms
    assert before
    assert slow
    assert 95.0 < slow.avg - before.avg < 110.0
    with testbed.fault("region-api-down", "srv1"):
        testbed.advance(30.0)
        rows = [row for row in testbed.status()["management"] if "srv1" in row["title"]]
        assert rows
        assert not any(row["ok"] for row in rows)
        assert handshakes(testbed) == [True, True]
    with pytest.raises(UsageError, match="leave out --tunnel"):
        testbed.fault("service-link-slow", "srv1", delay=50.0, tunnel=1).__enter__()
