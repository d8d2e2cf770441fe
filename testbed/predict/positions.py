"""Where a packet can be on its way, and what the rules look up there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from testbed.predict.endpoints import Machine
from testbed.predict.routes import addresses
from testbed.predict.site import CustomerNetwork

if TYPE_CHECKING:
    from testbed.predict.packet import Address, Journey
    from testbed.predict.site import Island
    from testbed.topology.model import (
        Gateway,
        NetworkInterface,
        Subnet,
        Topology,
        TransitGateway,
    )


@dataclass(frozen=True, slots=True)
class Leaving:
    """A network interface of a VPC sends the packet: its subnet's route table decides."""

    interface: NetworkInterface


@dataclass(frozen=True, slots=True)
class InVpc:
    """A VPC's router has it, for whoever has the address; `inside`: in the sender's subnet."""

    vpc: str
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Reaching:
    """It comes to a network interface that has the address; `inside`: from its own subnet."""

    interface: NetworkInterface
    inside: bool = False


@dataclass(frozen=True, slots=True)
class AtTransitGateway:
    """It comes out of an attachment, whose route table decides."""

    gateway: TransitGateway
    attachment: str


@dataclass(frozen=True, slots=True)
class OnCustomerNetwork:
    """Some of the customer's devices have it; `origin` is the local gateway that it comes from."""

    islands: frozenset[Island]
    origin: Gateway | None = None


@dataclass(frozen=True, slots=True)
class IntoLocalGateway:
    """The customer's network hands it to a local gateway, in one of its routing domains."""

    gateway: Gateway
    origin: Gateway | None = None


@dataclass(frozen=True, slots=True)
class OnInternet:
    """It is on the internet."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """It is where it has to be."""

    at: NetworkInterface | Machine


Position = (
    Leaving
    | InVpc
    | Reaching
    | AtTransitGateway
    | OnCustomerNetwork
    | IntoLocalGateway
    | OnInternet
    | Arrived
)
Step = tuple[Position, "Journey"]


class Places:
    """What is where in one topology."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.customer = CustomerNetwork(topology)
        self.interfaces = [
            entry for entry in topology.network_interfaces.values() if topology.attached(entry)
        ]

    @cached_property
    def internet_machines(self) -> tuple[Machine, ...]:
        """The machines on the internet."""
        internet = self.topology.region.internet
        return tuple(map(Machine.of_internet, internet.hosts if internet else ()))

    @cached_property
    def _owners(self) -> dict[tuple[str, Address], NetworkInterface]:
        return {
            (there.vpc, address): there
            for there in reversed(self.interfaces)
            for address in addresses(there)
        }

    def owner(self, vpc: str, address: Address) -> NetworkInterface | None:
        """The interface in a VPC that has a private address, or an IPv6 address."""
        return self._owners.get((vpc, address))

    def subnet(self, interface: NetworkInterface) -> Subnet:
        """The subnet of a network interface."""
        return self.topology.subnet(interface.vpc, interface.subnet)
