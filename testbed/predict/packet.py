"""What the rules look at, and what they say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

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
