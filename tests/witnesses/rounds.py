"""Random packets between the ends of a testbed, each traced and captured at once."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from testbed.errors import TestbedError
from testbed.probes.capture_points import select
from witnesses.arrivals import arrivals
from witnesses.comparison import differences
from witnesses.wires import Wires

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.predict import Endpoint
    from testbed.probes.trace import Protocol, Trace
    from testbed.testing import Testbed
    from witnesses.arrivals import Arrivals

PORTS = (443, 4789, 53, 179, 80, 7, 9, 500, 4500, 51820)
SIZES = (None, None, None, 200, 1280, 1300, 1301, 1376, 1400, 1500, 1501, 2000, 4000, 9001)
NOBODY = ("192.0.2.199", "198.51.100.77", "203.0.113.177")


@dataclass(frozen=True)
class Seen:
    """A trace, and all that others have seen of the same packet."""

    trace: Trace
    target: str | None
    wires: Wires
    ends: Mapping[str, Arrivals]
    captured: set[tuple[str, str]]

    def differences(self, trace: Trace | None = None) -> list[str]:
        """What the trace, or another one in its place, says otherwise."""
        return differences(trace or self.trace, self.target, self.wires, self.ends, self.captured)


@dataclass
class Tally:
    """What was compared: packets by their end, and what differed."""

    packets: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count those of another one, too."""
        self.packets += other.packets
        self.ends += other.ends
        self.kinds += other.kinds
        self.wrong += other.wrong

    def __str__(self) -> str:
        right = self.packets - len(self.wrong)
        return f"{right} of {self.packets} as captured {dict(self.ends)} {dict(self.kinds)}"


@dataclass(frozen=True)
class Asked:
    """A packet to be sent: `target` is the node that has the address, None when none has."""

    source: str
    target: str | None
    address: str
    protocol: Protocol
    port: int
    size: int | None
    df: bool


def choose(chance: random.Random, endpoints: Sequence[Endpoint]) -> Asked:
    """A random packet."""
    source = chance.choice(endpoints)
    target: Endpoint | None = chance.choice(endpoints)
    assert target is not None
    address = str(chance.choice(addresses(target)))
    if chance.random() < 0.05:
        target, address = None, chance.choice(NOBODY)
    protocol: Protocol = chance.choice(("icmp", "tcp", "udp"))
    size = chance.choice(SIZES)
    if size is not None and protocol == "tcp":
        size = min(size, 1500)
    port = 0 if protocol == "icmp" else chance.choice(PORTS)
    name = target.name if target else None
    return Asked(source.name, name, address, protocol, port, size, chance.random() < 0.25)


def addresses(endpoint: Endpoint) -> list[object]:
    """All that others may call it by, IPv6 included."""
    six = getattr(endpoint.at, "ipv6_address", None)
    return [*endpoint.addresses, *((six,) if six else ())]


def compare(
    testbed: Testbed, endpoints: Sequence[Endpoint], chance: random.Random, count: int, what: str
) -> Tally:
    """Send random packets, and compare what their traces say with what others have seen."""
    tally = Tally()
    traces: list[tuple[Asked, Trace]] = []
    points = {(point.node, point.interface) for point in select(testbed.plan, ())}
    with (
        arrivals(testbed, [endpoint.name for endpoint in endpoints]) as ends,
        testbed.capture() as capture,
    ):
        for _ in range(count):
            asked = choose(chance, endpoints)
            try:
                trace = testbed.trace(
                    asked.source,
                    asked.address,
                    protocol=asked.protocol,
                    port=asked.port,
                    size=asked.size,
                    df=asked.df,
                )
            except TestbedError as error:
                tally.kinds[f"refused: {error}"] += 1
                continue
            traces.append((asked, trace))
    wires = Wires(
        testbed.plan,
        capture.pcap,
        {t.cookie: max(t.size - (60 if ":" in t.destination else 40), 0) for _, t in traces},
    )
    for asked, trace in traces:
        tally.packets += 1
        tally.ends[_end(trace)] += 1
        tally.kinds[f"IPv{6 if ':' in asked.address else 4} {asked.protocol}"] += 1
        seen = Seen(trace, asked.target, wires, ends, points)
        tally.seen.append(seen)
        if found := seen.differences():
            lines = "".join(f"\n  {line}" for line in (trace.sentence, *found))
            tally.wrong.append(f"{what}: {asked}{lines}")
    return tally


def _end(trace: Trace) -> str:
    if trace.ok:
        return "answered" if trace.answered else "delivered"
    return "dropped" if trace.dropped_at else "not seen again"
