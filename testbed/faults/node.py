"""Faults of whole nodes and of their own routes."""

from __future__ import annotations

from testbed.errors import UsageError
from testbed.faults.editing import Editing, Target
from testbed.faults.registry import CONFIGURATION, REMOVALS, kind, text
from testbed.faults.values import Parameter
from testbed.plan.model import Fault, Loopback

DEFAULT = "0.0.0.0/0"


@kind("node-stopped", "a device, host, server or instance is switched off", "node", rank=REMOVALS)
def node_stopped(edit: Editing, target: Target, _: Fault) -> None:
    """Stop all processes of the node and set all its interfaces down."""
    for interface in edit.node(target.node).interfaces:
        if not isinstance(interface.device, Loopback):
            edit.change_interface(target.node, interface.name, up=False)
    edit.change(target.node, processes=())


@kind(
    "route-missing",
    "a static route is not configured, the default route if no other is named",
    "node",
    parameters=(Parameter("destination", "prefix", "of the route", DEFAULT),),
    rank=CONFIGURATION,
)
def route_missing(edit: Editing, target: Target, fault: Fault) -> None:
    """Leave the node's static unicast routes to the destination out, in all tables."""
    destination = text(fault, "destination")
    meant = {destination, destination.removesuffix("/32"), f"{destination}/32"}
    routes = edit.original(target.node).routes
    static = [route for route in routes if route.type == "unicast"]
    if not any(route.destination in meant for route in static):
        known = ", ".join(sorted({route.destination for route in static})) or "none"
        hint = f"its static routes: {known}; for learned ones there is route-withdrawn"
        raise UsageError(f"{target.node} has no static route to {destination}", hint=hint)
    kept = tuple(
        route
        for route in edit.node(target.node).routes
        if route.type != "unicast" or route.destination not in meant
    )
    edit.change(target.node, routes=kept)
