"""Two Outposts servers: by the LAN their instances reach each other, by the Region they don't."""

from __future__ import annotations

import pytest

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
