"""What the rules look at, and what they say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from testbed.topology.model import NetworkInterface

Protocol = Literal["tcp", "udp", "icmp"]
EPHEMERAL = 40000  # stands for any port that a client chooses (32768 to 60999)
NUMBERS: dict[Protocol, int] = {"tcp": 6, "udp": 17, "icmp": 1}
ICMPV6 = 58
ECHO_REPLY, ECHO_REQUEST = 0, 8
ECHO_REPLY6, ECHO_REQUEST6 = 129, 128

Address = IPv4Address | IPv6Address


class Dropped(Exception):  # noqa: N818 - not an error, but what becomes of a packet
    """The packet ends here; the message says where and why."""


class NotPredicted(Exception):  # noqa: N818
    """The packet meets something that the model does not follow; the message says what."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet. Ports are 0 in ICMP, whose requests and answers differ by `icmp_type`."""

    source: Address
    destination: Address
    protocol: Protocol
    source_port: int = 0
    port: int = 0
    icmp_type: int = ECHO_REQUEST

    @classmethod
    def request(
        cls, source: Address, destination: Address, protocol: Protocol, port: int
    ) -> Packet:
        """A client's first packet to a port (ICMP: an echo request)."""
        if protocol == "icmp":
            kind = ECHO_REQUEST if destination.version == 4 else ECHO_REQUEST6
            return cls(source, destination, protocol, icmp_type=kind)
        return cls(source, destination, protocol, EPHEMERAL, port)

    def answer(self) -> Packet:
        """The answer to this packet as it was received."""
        return replace(
            self,
            source=self.destination,
            destination=self.source,
            source_port=self.port,
            port=self.source_port,
            icmp_type=ECHO_REPLY if self.destination.version == 4 else ECHO_REPLY6,
        )

    @property
    def number(self) -> int:
        """The protocol's number; ICMP's of IPv6 is another one."""
        six = self.protocol == "icmp" and self.destination.version == 6
        return ICMPV6 if six else NUMBERS[self.protocol]

    def __str__(self) -> str:
        port = f" {self.port}" if self.protocol != "icmp" else ""
        return f"{self.protocol}{port}"


WayKind = Literal[
    "inside",  # one VPC, in one place: on one Outpost, or in the Region
    "service-link",  # one VPC, one end on an Outpost, the other in the Region
    "local-gateway",  # between an Outpost and the local network
    "local-gateways",  # between two Outposts, through the customer's network
    "hairpin",  # between two customer-owned addresses of one local gateway
    "peering",
    "transit",
    "direct-connect",
    "internet",
    "lan",  # between hosts of the customer's
    "other",  # there and back differ, or machines of the user's forward it
]


@dataclass(frozen=True, slots=True)
class Translation:
    """A source address that was replaced: `inner` is behind `outer` now.

    `by` is the name of the NAT gateway's network interface, or of the customer's device.
    """

    by: str
    inner: Address
    outer: Address


@dataclass(frozen=True, slots=True)
class Journey:
    """A packet on its way, and what is remembered of the way so far.

    `tracked` packets answer one that was let through: security groups let them
    pass, and `translations` (those of the request) lead them back. Filters are
    looked at only if `filtered`. `sender` is the network interface that the packet left last,
    None outside VPCs; `crosses` says that it used a service link.
    """

    packet: Packet
    tracked: bool = False
    filtered: bool = True
    sender: NetworkInterface | None = None
    way: WayKind = "inside"
    crosses: bool = False
    translations: tuple[Translation, ...] = ()

    def to(self, destination: Address) -> Journey:
        """Return the same with another destination address."""
        return replace(self, packet=replace(self.packet, destination=destination))

    def translated(self, by: str, outer: Address) -> Journey:
        """Return the same with its source address behind another."""
        entry = Translation(by, self.packet.source, outer)
        packet = replace(self.packet, source=outer)
        return replace(self, packet=packet, translations=(*self.translations, entry))

    def answer(self) -> Journey:
        """Return the journey of the answer, from where this one has arrived."""
        return Journey(
            self.packet.answer(),
            tracked=True,
            filtered=self.filtered,
            translations=self.translations,
        )

    def untranslated(self, by: str) -> Journey:
        """Return the same with the destination that is behind its own; Dropped if none is."""
        for entry in reversed(self.translations):
            if self.tracked and (entry.by, entry.outer) == (by, self.packet.destination):
                return self.to(entry.inner)
        raise Dropped(f"{by} translates addresses, and knows no such connection")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request gets its answer back, and where it ends if not; None: not predicted.

    `arrives` says whether the request itself does: then it is the answer that is lost.
    """

    answered: bool | None
    reason: str = ""
    arrives: bool = False

    @property
    def one_way(self) -> bool:
        """Whether the request is let in though its answer never gets back."""
        return self.arrives and self.answered is False
