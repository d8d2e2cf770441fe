"""Two routing domains with equal addresses on one second-generation rack: they never meet.

web 10.90.7.10 in domain direct, VLAN 2001, VRF direct, office; hmi 10.90.7.10 <-> 172.25.200.10 in
domain owned, VLAN 2002, VRF owned, floor.
"""

from __future__ import annotations

import pytest
from observing import captured, ends

from testbed.testing import Testbed
from testbed.topology.editing import (
    create_local_gateway_route,
    create_local_gateway_virtual_interface,
    delete_local_gateway_route,
    delete_local_gateway_virtual_interface,
)

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/routing-domains.yaml")]

WEB, OWNED = "10.90.7.10", "172.25.200.10"
DEVICES = ("cnd1", "cnd2", "cnd3", "cnd4")
DIRECT = [(device, "op.2001") for device in DEVICES]
COIP = [(device, "op.2002") for device in DEVICES]
TABLE = {"local_gateway_route_table": "op/direct", "destination_cidr_block": "0.0.0.0/0"}


def test_there_are_twelve_sessions(testbed: Testbed) -> None:
    """Four of the service link, and four of each domain."""
    sessions = [row for row in testbed.status()["bgp"] if row["node"].startswith("op.ond")]
    uplinks = [row for row in sessions if "VLAN" in row["title"]]
    assert len(uplinks) == 12
    assert {row["state"] for row in uplinks} == {"Established"}


def test_each_lan_reaches_its_domain_and_nothing_else(testbed: Testbed) -> None:
    with captured(testbed, [*DIRECT, *COIP]) as seen:
        assert testbed["desk"].http(f"http://{WEB}/").text.startswith("web")
        assert testbed["plc"].http(f"http://{OWNED}/").text.startswith("hmi")
        assert not testbed["desk"].ping(OWNED, count=2).received
        assert not testbed["plc"].ping(WEB, count=2).received
    direct = set().union(*(ends(seen[place]) for place in DIRECT))
    owned = set().union(*(ends(seen[place]) for place in COIP))
    assert {("192.168.10.10", WEB), (WEB, "192.168.10.10")} <= direct
    assert {("192.168.20.10", OWNED), (OWNED, "192.168.20.10")} <= owned
    # no frame of one domain's VLAN has an address that is only in the other one
    assert not any(OWNED in pair or "192.168.20.10" in pair for pair in direct)
    assert not any(WEB in pair or "192.168.10.10" in pair for pair in owned)


def test_without_its_static_route_a_domain_forwards_nothing(testbed: Testbed) -> None:
    """The other domain does not notice."""
    testbed.edit(delete_local_gateway_route(**TABLE))
    assert not testbed["desk"].ping(WEB, count=2).received
    assert testbed["plc"].ping(OWNED, count=2).received == 2
    (row,) = (r for r in testbed.status()["local_gateways"] if r["node"] == "op.lgw-direct")
    assert "static route to the VIF group" in row["state"]
    testbed.edit(create_local_gateway_route(**TABLE, local_gateway_virtual_interface_group=True))
    testbed.eventually(lambda: testbed["desk"].ping(WEB, count=2).received == 2)


def test_without_a_virtual_interface_there_is_no_session(testbed: Testbed) -> None:
    """What is left of the group carries the domain, which is incomplete as the API says it."""
    testbed.edit(
        delete_local_gateway_virtual_interface(outpost="op", routing_domain="direct", lag=2)
    )
    interfaces = {i.name for i in testbed.plan.node("op.ond2").interfaces}
    assert "bond0.2002" in interfaces
    assert "bond0.2001" not in interfaces
    (row,) = (r for r in testbed.status()["local_gateways"] if r["node"] == "op.lgw-direct")
    assert (row["vif_group"], len(row["vifs"])) == ("incomplete", 3)
    testbed.eventually(lambda: testbed["desk"].ping(WEB, count=2).received == 2)
    testbed.edit(
        create_local_gateway_virtual_interface(outpost="op", routing_domain="direct", lag=2)
    )
    testbed.eventually(lambda: testbed.status()["ok"])
    assert testbed["desk"].ping(WEB, count=2).received == 2
