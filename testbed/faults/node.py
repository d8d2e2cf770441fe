"""Faults of whole nodes and of their own routes."""

from __future__ import annotations

from testbed.errors import UsageError
from testbed.faults.editing import Editing, Target, far_end
from testbed.faults.registry import CONFIGURATION, REMOVALS, kind, text
from testbed.faults.values import Parameter
from testbed.plan.effective import network_of
from testbed.plan.model import TABLE_MAIN, Bond, Bridge, Fault, Loopback, Route, Vrf

DEFAULT = "0.0.0.0/0"


@kind("node-stopped", "a device, host, server or instance is switched off", "node", rank=REMOVALS)
def node_stopped(edit: Editing, target: Target, _: Fault) -> None:
    """Stop all processes of the node and set all its interfaces down.

    A LAG goes down with its members: one that is set down itself, and up together
    with them, may be left without an active aggregator (Linux 7.2).
    """
    for interface in edit.node(target.node).interfaces:
        if not isinstance(interface.device, Bond | Loopback):
            edit.change_interface(target.node, interface.name, up=False)
    edit.change(target.node, processes=())


@kind(
    "host-down",
    "a server of an Outpost's fails, and every instance on it",
    "server",
    rank=REMOVALS,
)
def host_down(edit: Editing, target: Target, fault: Fault) -> None:
    """Stop all that runs on the server; what is placed there later doesn't run either."""
    for node in edit.nodes():
        if target.hardware in node.hardware:
            node_stopped(edit, Target(node.name), fault)


@kind(
    "rack-down",
    "a rack of an Outpost's loses its power, with its servers and networking devices",
    "rack",
    rank=REMOVALS,
)
def rack_down(edit: Editing, target: Target, fault: Fault) -> None:
    """Stop all that is in the rack."""
    host_down(edit, target, fault)


@kind(
    "route-missing",
    "a static route is missing: the default route, unless another one is named",
    "node",
    parameters=(Parameter("destination", "prefix", "the route's destination", DEFAULT),),
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
        hint = f"its static routes: {known}; use route-withdrawn for learned ones"
        raise UsageError(f"{target.node} has no static route to {destination}", hint=hint)
    kept = tuple(
        route
        for route in edit.node(target.node).routes
        if route.type != "unicast" or route.destination not in meant
    )
    edit.change(target.node, routes=kept)


@kind(
    "route-wrong",
    "a static route that should not be there leads some packets another way",
    "node",
    parameters=(
        Parameter("destination", "prefix", "the route's destination", required=True),
        Parameter("via", "address", "the neighbour that the route leads to", required=True),
    ),
    rank=CONFIGURATION,
)
def route_wrong(edit: Editing, target: Target, fault: Fault) -> None:
    """Add a route that is preferred to what a daemon brings, in the table of the way out."""
    via = text(fault, "via")
    node = edit.original(target.node)
    way = next((i for i in node.interfaces if any(_neighbour(a, via) for a in i.addresses)), None)
    if way is None:
        hint = "testbed inspect shows its links"
        raise UsageError(f"{target.node} has no neighbour {via}", hint=hint)
    tables = {i.name: i.device.table for i in node.interfaces if isinstance(i.device, Vrf)}
    table = tables.get(way.master or "", TABLE_MAIN)
    new = Route(text(fault, "destination"), table=table, via=via, dev=way.name)
    same = (new.table, new.destination, new.metric)
    before = edit.node(target.node).routes
    kept = (r for r in before if (r.table, r.destination, r.metric) != same)
    edit.change(target.node, routes=(*kept, new))


def _neighbour(own: str, other: str) -> bool:
    """Whether an address is in the subnet of an interface's own one."""
    address, _, length = own.partition("/")
    if ":" in own or ":" in other or address == other:
        return False
    return network_of(own) == network_of(f"{other}/{length}")


@kind(
    "address-duplicate",
    "another machine on the LAN also has the interface's address",
    "interface",
    rank=CONFIGURATION,
)
def address_duplicate(edit: Editing, target: Target, _: Fault) -> None:
    """Give the LAN's own switch the address: it answers ARP for it, and takes its packets."""
    addresses = edit.original(target.node).interface(target.interface).addresses
    own = tuple(address for address in addresses if ":" not in address)
    far = far_end(edit, target.node, target.interface)
    port = edit.original(far[0]).interface(far[1]) if far else None
    if far is None or port is None or not own or not port.master:
        hint = "target a port to a LAN segment: a host's, or a device's lan_NAME"
        raise UsageError(f"{target.text} has no address on a LAN", hint=hint)
    if not isinstance(edit.original(far[0]).interface(port.master).device, Bridge):
        raise UsageError(f"{target.text} is not on a LAN")
    edit.change_interface(far[0], port.master, addresses=own)
