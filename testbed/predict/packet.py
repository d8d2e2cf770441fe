"""What the rules look at, and what they say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Literal

Protocol = Literal["tcp", "udp", "icmp"]
EPHEMERAL = 40000  # stands for any port that a client chooses (32768 to 60999)
NUMBERS: dict[Protocol, int] = {"tcp": 6, "udp": 17, "icmp": 1}
ECHO_REPLY, ECHO_REQUEST = 0, 8


class Dropped(Exception):  # noqa: N818 - not an error, but what becomes of a packet
    """The packet ends here; the message says where and why."""


class NotPredicted(Exception):  # noqa: N818
    """The packet meets something that the model does not follow; the message says what."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet. Ports are 0 in ICMP, whose requests and answers differ by `icmp_type`."""

    source: IPv4Address
    destination: IPv4Address
    protocol: Protocol
    source_port: int = 0
    port: int = 0
    icmp_type: int = ECHO_REQUEST

    @classmethod
    def request(
        cls, source: IPv4Address, destination: IPv4Address, protocol: Protocol, port: int
    ) -> Packet:
        """A client's first packet to a port (ICMP: an echo request)."""
        if protocol == "icmp":
            return cls(source, destination, protocol)
        return cls(source, destination, protocol, EPHEMERAL, port)

    def answer(self) -> Packet:
        """The answer to this packet as it was received."""
        return replace(
            self,
            source=self.destination,
            destination=self.source,
            source_port=self.port,
            port=self.source_port,
            icmp_type=ECHO_REPLY,
        )

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
