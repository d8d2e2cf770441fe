"""Requests that routes and filters let in, whether or not they lead the answer back."""

from __future__ import annotations

from testbed.conformance.permissions import Permissions
from testbed.conformance.requesting import Request
from testbed.conformance.ways import Ways
from testbed.predict import World
from testbed.topology.model import Topology

COMMON = {80, 443}


def asked_of(topology: Topology, name: str) -> dict[Request, str]:
    """One TCP request from each that may ask an instance, and why its answer gets lost ("": not).

    Of several from one machine, one whose answer is lost.
    """
    world, permissions, ways = World(topology), Permissions(topology), Ways(topology)
    endpoints = {endpoint.name: endpoint for endpoint in world.endpoints()}
    ends = {end.name: end for end in ways.ends}
    own = endpoints[name]
    found: dict[str, tuple[Request, str]] = {}
    for source in endpoints.values():
        ports = set(COMMON)
        if source.name in ends and name in ends:
            ports |= {*permissions.boundaries(ends[source.name], ends[name], "tcp")}
        for address in own.addresses if source is not own else ():
            for port in sorted(ports):
                verdict = world.verdict(source, address, "tcp", port)
                known = found.get(source.name)
                better = known is None or (verdict.one_way and not known[1])
                if better and verdict.arrives and verdict.answered is not None:
                    reason = verdict.reason if verdict.one_way else ""
                    found[source.name] = Request(source.name, str(address), "tcp", port), reason
    return dict(found.values())
