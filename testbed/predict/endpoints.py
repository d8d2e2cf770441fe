"""What can send and answer: instances that run, the customer's machines, the internet's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from testbed.predict.packet import Address
    from testbed.topology.model import (
        Host,
        InternetHost,
        NetworkInterface,
        Service,
        Topology,
    )


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that is no instance: one of the customer's, or one on the internet."""

    name: str
    address: IPv4Address
    services: tuple[Service, ...]
    host: Host | None  # None: on the internet
    ipv6_address: IPv6Address | None = None

    @classmethod
    def of_host(cls, host: Host) -> Machine:
        """Return one of the customer's."""
        return cls(host.name, host.address.ip, host.services, host)

    @classmethod
    def of_internet(cls, host: InternetHost) -> Machine:
        """Return one on the internet."""
        six = host.ipv6_address.ip if host.ipv6_address else None
        return cls(host.name, host.address.ip, host.services, None, six)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Its addresses, IPv6 last."""
        return (self.address, *((self.ipv6_address,) if self.ipv6_address else ()))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Something that can send and answer: an instance or a machine, and the node it is.

    `addresses` are those that others may use for it, IPv6 last.
    """

    name: str
    address: IPv4Address
    addresses: tuple[Address, ...]
    services: tuple[Service, ...]
    at: NetworkInterface | Machine

    @classmethod
    def of_instance(cls, topology: Topology, interface: NetworkInterface) -> Endpoint:
        """Return an instance by its primary network interface."""
        owned = interface.customer_owned_ip
        public = ((owned,) if owned else ()) + tuple(ip for _, ip in interface.elastic_ips)
        six = (interface.ipv6_address,) if interface.ipv6_address else ()
        services = topology.instances[interface.name].services
        own = (*interface.addresses, *public, *six)
        return cls(interface.name, interface.address, own, services, interface)

    @classmethod
    def of_machine(cls, machine: Machine) -> Endpoint:
        """Return a machine that is no instance."""
        return cls(machine.name, machine.address, machine.addresses, machine.services, machine)

    def address_for(self, destination: Address) -> Address | None:
        """The address that it sends from to this one; None: it has none of that kind."""
        return self.address if destination.version == 4 else self.at.ipv6_address
