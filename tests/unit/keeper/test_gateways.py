"""The state of a local gateway's route table, from what an observer has seen."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.keeper import gateways
from testbed.kernel.observe import Hop, RouteState
from testbed.plan.checks import BgpCheck, GatewayPort, GatewayRoute, LocalGatewayCheck

CHECK = LocalGatewayCheck(
    "op.lgw",
    "op local gateway route table",
    "coip",
    (
        GatewayPort("vif", "VLAN 2001", "op.ond1", "bond0.2001", "customer"),
        GatewayPort("vif", "VLAN 2002", "op.ond2", "bond0.2002", "customer"),
        GatewayPort("vpc", "app", "op.lgw", "coip-app"),
    ),
    (
        GatewayRoute("0.0.0.0/0", "vif-group", "static", 7, through="vif"),
        GatewayRoute("172.20.0.0/26", "campus", "propagated", 6),
        GatewayRoute("172.31.0.0/16", "spare", "static", 6, expected="blackhole"),
    ),
)


def state(kind: str, *, alive: bool = True, hops: bool = True) -> RouteState:
    """A route as the kernel has it."""
    found = (Hop("100.64.0.1", "eth0", alive),) if hops else ()
    return RouteState("", 6, kind, "static", 0, None, found)


class Seen:
    """An observer that has seen everything in order, but for what is changed."""

    def __init__(self) -> None:
        self.links: dict[str, str] = {}
        self.sessions: dict[str, str] = {}
        self.tables: dict[int, dict[str, RouteState]] = {
            7: {"0.0.0.0/0": state("throw", hops=False)},
            6: {
                "172.20.0.0/26": state("unicast"),
                "172.31.0.0/16": state("blackhole", hops=False),
            },
        }

    def link_row(self, node: str, interface: str) -> dict[str, Any]:
        found = self.links.get(interface, "up")
        return {"ok": found == "up", "state": found, "title": f"{node} {interface}"}

    def bgp_row(self, check: BgpCheck) -> dict[str, Any]:
        found = self.sessions.get(check.node, "Established")
        return {"ok": found == "Established", "state": found}

    def table(self, node: str, number: int) -> dict[str, RouteState]:
        assert node == "op.lgw"
        return self.tables[number]


@pytest.fixture
def seen() -> Seen:
    return Seen()


def states(seen: Seen, check: LocalGatewayCheck = CHECK) -> list[str]:
    """The states of the routes."""
    return [route["state"] for route in gateways.local_gateway(seen, check)["routes"]]


def test_in_order(seen: Seen) -> None:
    row = gateways.local_gateway(seen, CHECK)
    assert row["ok"]
    assert row["state"] == "active"
    assert [vif["state"] for vif in row["vifs"]] == ["available", "available"]
    assert [vpc["state"] for vpc in row["vpc_associations"]] == ["associated"]
    assert states(seen) == ["active", "active", "blackhole"]


def test_one_vif_is_enough_for_routes_to_the_group(seen: Seen) -> None:
    seen.sessions["op.ond1"] = "Active"
    row = gateways.local_gateway(seen, CHECK)
    assert not row["ok"]
    assert row["state"] == "active; VLAN 2001: available, BGP Active"
    assert states(seen)[0] == "active"
    seen.links["bond0.2002"] = "no carrier"
    assert states(seen)[0] == "pending"


def test_what_the_kernel_lacks_is_pending_and_what_leads_nowhere_a_blackhole(seen: Seen) -> None:
    del seen.tables[6]["172.20.0.0/26"]
    seen.tables[7]["0.0.0.0/0"] = state("blackhole", hops=False)  # what ends the table
    assert states(seen) == ["pending", "pending", "blackhole"]
    seen.tables[6]["172.20.0.0/26"] = state("unicast", alive=False)
    seen.tables[6]["172.31.0.0/16"] = state("unicast")
    assert states(seen) == ["pending", "blackhole", "active"]
    assert not gateways.local_gateway(seen, CHECK)["ok"]


def test_an_inactive_table_says_what_it_lacks(seen: Seen) -> None:
    lacks = ("VPC association", "static route to the VIF group")
    row = gateways.local_gateway(seen, LocalGatewayCheck("op.lgw", "t", "coip", lacks=lacks))
    assert row["ok"]
    assert row["state"] == "inactive: no VPC association, no static route to the VIF group"
