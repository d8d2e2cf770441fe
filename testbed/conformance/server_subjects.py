"""What checks of Outposts servers are about: a server with its ports, a local network interface."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.lower import names
from testbed.plan.model import Place
from testbed.topology.model import (
    Host,
    Layer2Service,
    LocalNetworkInterface,
    Segment,
    Server,
    Topology,
)


@dataclass(frozen=True, slots=True)
class ServerSubject:
    """An Outposts server; `segment` is the one that its service link port is in."""

    server: Server
    segment: Segment

    def __str__(self) -> str:
        return self.server.name

    @property
    def place(self) -> Place:
        """The service link port."""
        return names.service_link(self.server), "eth0"

    @property
    def switch_port(self) -> Place:
        """The customer's switch port of the service link."""
        return names.segment(self.segment), names.link_port_of(self.server)

    @property
    def keys(self) -> frozenset[str]:
        """The server, and the nodes of its ports."""
        own = {self.server.name, self.place[0], names.local_port(self.server)}
        return frozenset(own | {self.switch_port[0]})

    @property
    def touches(self) -> frozenset[str]:
        """The server's name, as Outposts' are."""
        return frozenset({self.server.name})


@dataclass(frozen=True, slots=True)
class LniSubject:
    """A local network interface of an instance that runs."""

    interface: LocalNetworkInterface
    server: Server

    def __str__(self) -> str:
        return f"{self.interface.instance} {self.device}"

    @property
    def device(self) -> str:
        """Its name inside its instance."""
        return names.lni_device(self.interface)

    @property
    def mac(self) -> str:
        """Its MAC address."""
        return names.lni_mac(self.interface)

    @property
    def keys(self) -> frozenset[str]:
        """The interface, its instance, its server's port."""
        own = {str(self), self.interface.name, self.interface.instance}
        return frozenset(own | {names.local_port(self.server), self.interface.server})

    @property
    def touches(self) -> frozenset[str]:
        """The server that it is on."""
        return frozenset({self.interface.server})


@dataclass(frozen=True, slots=True)
class AnnouncedSubject:
    """A service address on a LAN; `asks` is where it is asked for, `speakers` may announce it.

    They are (instance, MAC address), those that run. `host` is one of the LAN's machines, `parts`
    are the nodes and their local network interfaces.
    """

    service: Layer2Service
    segment: Segment
    asks: Place
    host: Host | None
    speakers: tuple[tuple[str, str], ...]
    servers: frozenset[str]
    parts: frozenset[str]

    def __str__(self) -> str:
        return f"{self.service.name} ({self.service.address})"

    @property
    def keys(self) -> frozenset[str]:
        """The service, its nodes, its segment's switch."""
        own = {str(self), self.service.name, names.segment(self.segment)}
        return frozenset(own | self.parts)

    @property
    def touches(self) -> frozenset[str]:
        """The servers of its nodes."""
        return self.servers


def servers(topology: Topology) -> list[ServerSubject]:
    """All Outposts servers."""
    segments = {segment.name: segment for segment in topology.site.segments}
    found = []
    for server in topology.servers.values():
        port = server.link.port
        name = port.segment or next(iter(port.tagged), None)
        if name in segments:
            found.append(ServerSubject(server, segments[name]))
    return found


def local_interfaces(topology: Topology) -> list[LniSubject]:
    """All local network interfaces of instances that run."""
    return [
        LniSubject(interface, topology.servers[interface.server])
        for interface in topology.local_network_interfaces.values()
        if topology.instances[interface.instance].state == "running"
    ]


def announced(topology: Topology) -> list[AnnouncedSubject]:
    """All service addresses with a node that runs, asked for from a host or router of the LAN."""
    segments = {segment.name: segment for segment in topology.site.segments}
    found = []
    for service in topology.layer2_services.values():
        running = [s for s in service.speakers if topology.instances[s.instance].state == "running"]
        if service.segment is None or not running:
            continue
        segment = segments[service.segment]
        host = next((h for h in topology.site.hosts if h.segment == segment.name), None)
        router = (segment.routers[0][0], names.lan_port(segment.name))
        interfaces = topology.local_network_interfaces
        found.append(
            AnnouncedSubject(
                service,
                segment,
                (host.name, "eth0") if host else router,
                host,
                tuple((s.instance, names.lni_mac(interfaces[s.interface])) for s in running),
                frozenset(interfaces[s.interface].server for s in running),
                frozenset(text for s in running for text in _parts(interfaces[s.interface])),
            )
        )
    return found


def _parts(interface: LocalNetworkInterface) -> tuple[str, str, str]:
    device = names.lni_device(interface)
    return interface.instance, interface.name, f"{interface.instance} {device}"
