"""The state of a local gateway's route table, from what the kernel and daemons have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from testbed.plan.checks import BgpCheck, LocalGatewayCheck

if TYPE_CHECKING:
    from testbed.kernel.observe import RouteState
    from testbed.plan.checks import GatewayPort, GatewayRoute

Row = dict[str, Any]


class Observer(Protocol):
    """What has to be looked at."""

    def link_row(self, node: str, interface: str) -> Row:
        """State of an interface."""

    def bgp_row(self, check: BgpCheck) -> Row:
        """State of a BGP session."""

    def table(self, node: str, number: int) -> dict[str, RouteState]:
        """A kernel table's routes by destination."""


def local_gateway(observer: Observer, check: LocalGatewayCheck) -> Row:
    """The row of a route table: its ports, its routes and whether it is active."""
    ports = [_port(observer, port) for port in check.ports]
    working = {port["role"] for port in ports if port["ok"]}
    routes = [_route(observer, check, route, working) for route in check.routes]
    bad = [entry for entry in (*ports, *routes) if not entry["ok"]]
    state = f"inactive: no {', no '.join(check.lacks)}" if check.lacks else "active"
    if check.vif_group != "available":
        state += f"; VIF group {check.vif_group}"
    if bad:
        first = bad[0]
        state += f"; {first.get('name') or first['destination']}: {first['state']}"
    return {
        "title": check.title,
        "node": check.node,
        "mode": check.mode,
        "ok": not bad,
        "state": state,
        "vif_group": check.vif_group,
        "vifs": [port for port in ports if port["role"] == "vif"],
        "vpc_associations": [port for port in ports if port["role"] == "vpc"],
        "routes": routes,
    }


def _port(observer: Observer, port: GatewayPort) -> Row:
    link = observer.link_row(port.node, port.interface)
    row: Row = {"role": port.role, "name": port.name, "node": port.node}
    row |= {"interface": port.interface, "ok": link["ok"]}
    there = "available" if port.role == "vif" else "associated"
    row["state"] = there if link["ok"] else link["state"]
    if port.protocol:
        session = observer.bgp_row(BgpCheck(port.node, "bird", port.protocol, "", port.name))
        row |= {"bgp": session["state"], "ok": link["ok"] and session["ok"]}
        if link["ok"] and not session["ok"]:
            row["state"] = f"{there}, BGP {session['state']}"
    return row


def _route(
    observer: Observer, check: LocalGatewayCheck, route: GatewayRoute, working: set[str]
) -> Row:
    found = observer.table(check.node, route.table).get(route.destination)
    state = _state(found)
    if route.through and (found is None or found.type != "throw" or route.through not in working):
        state = "pending"
    return {
        "destination": route.destination,
        "target": route.target,
        "type": route.origin,
        "ok": state == route.expected,
        "state": state,
    }


def _state(found: RouteState | None) -> str:
    """What AWS calls the state of a route that the kernel has so (API: LocalGatewayRouteState)."""
    if found is None:
        return "pending"
    if found.type == "blackhole":
        return "blackhole"
    alive = found.type == "throw" or any(hop.alive for hop in found.hops)
    return "active" if alive else "blackhole"
