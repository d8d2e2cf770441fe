"""What AWS refuses for an Outpost while its service link is down.

Instances run on and the Region goes on; what would have to be told the Outpost is refused:
its instances are not run, started, stopped or terminated, and its subnets' route tables are not
changed (facts: H3, H4). What only the Region keeps of an object, such as its tags, can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from testbed.api.errors import ApiError
from testbed.api.objects import Ref
from testbed.api.operations import Params
from testbed.api.world import World
from testbed.topology.ids import ResourceType
from testbed.topology.model import Topology

UNREACHABLE = "OutpostNotReachable"  # AWS's code for it in S3 on Outposts (docs/fidelity.md)


def channel(outpost: str) -> str:
    """Return the title under which `testbed status` has an Outpost's management channel."""
    return f"{outpost} management channel"


def refuse_unreachable(world: World, parameters: Params, unready: frozenset[str]) -> None:
    """Refuse a call about an Outpost whose management channel is among what is `unready`.

    Raises ApiError.
    """
    down = {name for name in world.topology.outposts if channel(name) in unready}
    if not down:
        return
    for outpost in sorted(down & set(outposts_of(world, parameters))):
        message = (
            f"The service link connection of the Outpost {world.id('outpost', outpost)} to its"
            " home Region is down. Check the connection and try again."
        )
        raise ApiError(UNREACHABLE, message)


def outposts_of(world: World, parameters: Params) -> Iterator[str]:
    """Find the names of the Outposts that a call is about, by the identifiers in it."""
    for text in _texts(parameters):
        ref = world.objects.get(text.rpartition("/")[2] if text.startswith("arn:") else text)
        if ref is not None and ref.kind in ON_OUTPOSTS:
            yield from ON_OUTPOSTS[ref.kind](world.topology, ref)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _subnets(topology: Topology, vpc: str, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if (outpost := topology.subnet(vpc, name).outpost) is not None:
            yield outpost


def _instance(topology: Topology, ref: Ref) -> Iterator[str]:
    instance = topology.instances[ref.name]
    return _subnets(topology, instance.vpc, [instance.subnet])


def _interface(topology: Topology, ref: Ref) -> Iterator[str]:
    interface = topology.network_interfaces[ref.name]
    return _subnets(topology, interface.vpc, [interface.subnet])


def _route_table(topology: Topology, ref: Ref) -> Iterator[str]:
    vpc = topology.vpcs[ref.names[0]]
    table = next(each for each in vpc.route_tables if each.name == ref.name)
    return _subnets(topology, vpc.name, (subnet.name for subnet in vpc.users_of(table)))


def _association(topology: Topology, ref: Ref) -> Iterator[str]:
    vpc = topology.vpcs[ref.names[0]]
    known = {subnet.name for subnet in vpc.subnets}
    return _subnets(topology, vpc.name, [name for name in ref.names[1:] if name in known])


def _subnet(topology: Topology, ref: Ref) -> Iterator[str]:
    return _subnets(topology, ref.names[0], [ref.name])


def _of_rack(_: Topology, ref: Ref) -> Iterator[str]:
    yield ref.names[0].partition("/")[0]


ON_OUTPOSTS: dict[ResourceType, Callable[[Topology, Ref], Iterator[str]]] = {
    "instance": _instance,
    "network-interface": _interface,
    "subnet": _subnet,
    "route-table": _route_table,
    "route-table-association": _association,
    "network-acl-association": _association,
    "outpost": _of_rack,
    "outpost-lag": _of_rack,
    "coip-pool": _of_rack,
    "local-gateway": _of_rack,
    "local-gateway-route-table": _of_rack,
    "local-gateway-route-table-virtual-interface-group-association": _of_rack,
    "local-gateway-route-table-vpc-association": _of_rack,
    "local-gateway-virtual-interface": _of_rack,
    "local-gateway-virtual-interface-group": _of_rack,
}
