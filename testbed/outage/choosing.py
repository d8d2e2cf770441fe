"""What to cut, and whose requests to watch, where nothing is said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from testbed.conformance.permissions import Permissions
from testbed.conformance.ways import WayEnd, Ways
from testbed.errors import UsageError
from testbed.outage.model import Cut
from testbed.predict import WayKind
from testbed.testing import User
from testbed.topology.model import Topology

SERVICE_LINK, CUT = "service-link", "service-link-cut"
PORTS = {"http": 80, "echo": 7}


def cuts(topology: Topology, words: Iterable[str]) -> tuple[Cut, ...]:
    """Return what the words cut: ``service-link``, ``service-link OUTPOST``, or a fault.

    The first cuts the service links of all Outposts. A fault is ``KIND TARGET``, as for
    `testbed fault`. Raises UsageError for anything else.
    """
    found: list[Cut] = []
    for text in words:
        kind, _, target = text.partition(" ")
        if kind == SERVICE_LINK:
            found += [Cut(CUT, name) for name in _outposts(topology, target.strip())]
        elif target.strip():
            found.append(Cut(kind, target.strip()))
        else:
            hint = "such as service-link, 'service-link op-a', or a fault: 'node-stopped cnd1'"
            raise UsageError(f"nothing can be cut by {text!r}", hint=hint)
    return tuple(dict.fromkeys(found))


def _outposts(topology: Topology, name: str) -> Sequence[str]:
    names = list(topology.outposts)
    if not name:
        return names
    if name not in names:
        raise UsageError(f"no Outpost {name!r}", hint=f"Outposts: {', '.join(names)}")
    return [name]


def users(topology: Topology) -> list[User]:
    """Return users of every service of an instance, ECS's too: one for each kind of way to it.

    The local network's hosts come first, then instances elsewhere. Whom routes, security groups
    or network ACLs keep away is no user.
    """
    ways, permissions = Ways(topology), Permissions(topology)
    found: dict[tuple[str, int, WayKind, str | None], User] = {}
    for source in [*ways.hosts, *ways.instances]:
        for other in ways.instances:
            way = ways.way(source, other) if source != other else None
            if way is None:
                continue
            for port in _ports(topology, other):
                key = (other.name, port, way.kind, source.place or source.segment)
                if key not in found and permissions.allows(source, other, way, "tcp", port):
                    scheme = "http" if port == PORTS["http"] else "tcp"
                    where = f"{way.to}:{port}" if scheme == "tcp" else str(way.to)
                    found[key] = User(source.name, f"{scheme}://{where}")
    return list(found.values())


def _ports(topology: Topology, end: WayEnd) -> list[int]:
    """The ports of an instance's own services, and of those of ECS that may be placed on it."""
    services = topology.instances[end.name].services
    ports = [PORTS[service] for service in services if service in PORTS]
    ecs = topology.workloads.ecs
    for cluster in ecs.clusters.values() if ecs else ():
        if ecs and end.name in {entry.instance for entry in cluster.container_instances}:
            for service in cluster.services:
                definition = ecs.task_definitions[service.task_definition]
                mappings = [m for c in definition.containers for m in c.port_mappings]
                ports += [m.host_port for m in mappings if m.protocol == "tcp" and m.host_port]
    return list(dict.fromkeys(ports))
