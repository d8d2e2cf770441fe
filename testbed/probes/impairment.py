"""What an impaired interface really does to packets: measured, next to what was asked for."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.errors import NetworkError
from testbed.faults.catalog import compose
from testbed.faults.editing import Editing, Target, far_end, members
from testbed.faults.service_link import slow_ends
from testbed.faults.targets import resolve
from testbed.plan.model import Bond, Fault, Netem, Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.control.client import Client
    from testbed.plan.model import Plan


SPACING_S = 0.001
SMALL_BITS, LARGE_BITS = 64 * 8, 1400 * 8
FEWEST, MOST = 200, 3000
EXPECTED = 100  # frames that are to be lost (or reordered, or doubled) for a share to mean much
LONGEST_S = 4.0
BURST_S = 0.5
IDLE_S = 0.5
GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What an interface did to `frames` frames that it sent.

    Delays are one way; `jitter_ms` is half the width of their range, taken as
    even. None for what cannot be told: nothing arrived, or no rate was asked for.
    """

    node: str
    interface: str
    frames: int
    delay_ms: float | None
    jitter_ms: float | None
    loss_percent: float
    reorder_percent: float | None
    duplicate_percent: float | None
    rate_mbps: float | None

    def to_json(self) -> dict[str, Any]:
        """For `testbed fault --json`."""
        return {name: getattr(self, name) for name in self.__slots__}


def ends_of(plan: Plan, fault: Fault) -> list[tuple[Place, Place]]:
    """The interfaces that a fault impairs and those that receive from them; of a LAG one member.

    None of what ends outside of the plan's cables.
    """
    edit = Editing(plan, (fault,))
    if fault.kind == "service-link-slow":
        ends = slow_ends(edit, resolve(plan, fault.target, ("outpost",)), fault)[:2]
    else:
        target = resolve(plan, fault.target, ("interface",))
        ends = _impaired(edit, target, fault)
    pairs = []
    for node, name in ends:
        device = edit.original(node).interface(name).device
        each = members(edit.original(node), name)[0] if isinstance(device, Bond) else name
        if far := far_end(edit, node, each):
            pairs.append(((node, each), far))
    return pairs


def expected(plan: Plan, faults: Sequence[Fault], end: Place) -> dict[str, float]:
    """What the interface shall do to packets with all faults and what it has of itself."""
    interface = compose(plan, faults).node(end[0]).interface(end[1])
    netem = interface.netem or Netem()
    names = ("delay_ms", "jitter_ms", "loss_percent", "reorder_percent", "duplicate_percent")
    return {name: getattr(netem, name) for name in (*names, "rate_mbps")}


def _impaired(edit: Editing, target: Target, fault: Fault) -> list[Place]:
    own = (target.node, target.interface)
    far = far_end(edit, *own) if fault.values.get("ends") == "both" else None
    return [own, far] if far else [own]


def measure(client: Client, pair: tuple[Place, Place], values: Mapping[str, Any]) -> Measured:
    """Send frames from the first end and see how they arrive at the other.

    NetworkError when the program that measures does not run.
    """
    (node, interface), (far_node, far_interface) = pair
    count, spacing, burst = _amount(values)
    run = secrets.token_hex(8)
    slowest = (float(values.get("delay", 0)) + float(values.get("jitter", 0))) / 1000
    rate = float(values.get("rate", 0))
    idle = IDLE_S + slowest + (LARGE_BITS / (rate * 1e6) if rate else 0)
    listen = ["testbed-link-meter", "receive", far_interface, run, str(idle + 1)]
    with client.popen(far_node, listen, until="ready") as receiver:
        chunks = receiver.chunks()
        text = next(chunks, b"")
        talk = ["testbed-link-meter", "send", interface, run]
        talk += [str(count), str(spacing), str(burst)]
        done = client.run(node, talk, timeout=LONGEST_S + BURST_S + GRACE_S)
        text += b"".join(chunks)
    if done.returncode or receiver.returncode:
        said = (done.stderr or bytes(receiver.stderr)).decode(errors="replace").strip()
        raise NetworkError(f"cannot measure {node}:{interface}", hint=said[-500:] or None)
    arrivals = json.loads(text.partition(b"\n")[2])
    reorder = float(values.get("reorder", 0))
    return evaluate(node, interface, count, arrivals, with_rate=bool(rate), reorder=reorder)


def _amount(values: Mapping[str, Any]) -> tuple[int, float, int]:
    """How many frames at which distance, and how many at once to measure the rate."""
    shares = [float(values.get(name, 0)) for name in ("loss", "reorder", "duplicate")]
    rarest = min((share for share in shares if share), default=100.0)
    rate = float(values.get("rate", 0)) * 1e6
    spacing = max(SPACING_S, 2 * SMALL_BITS / rate) if rate else SPACING_S
    wanted = max(FEWEST, min(MOST, round(EXPECTED * 100 / rarest)))
    count = max(20, min(wanted, int(LONGEST_S / spacing)))
    burst = max(10, min(400, round(rate * BURST_S / LARGE_BITS))) if rate else 0
    return count, spacing, burst


def evaluate(
    node: str,
    interface: str,
    count: int,
    arrivals: Mapping[str, Sequence[Sequence[int]]],
    *,
    with_rate: bool,
    reorder: float = 0.0,
) -> Measured:
    """Make figures of arrivals (sequence number, sent and arrived in ns).

    Where `reorder` percent are to overtake others, the delay is that of the others.
    """
    first: dict[int, tuple[int, int]] = {}
    for number, sent, arrived in arrivals["steady"]:
        first.setdefault(number, (sent, arrived))
    delays = [(arrived - sent) / 1e6 for sent, arrived in first.values()]
    delay = jitter = overtaking = double = None
    if delays:
        usual = sorted(delays)[int(len(delays) * (reorder + 100) / 201)]  # amid the others
        kept = [each for each in delays if each > usual / 4] if reorder else delays
        delay = sum(kept) / len(kept)
        jitter = 2 * sum(abs(each - delay) for each in kept) / len(kept)
        overtaking = 100 * _overtaking(first) / len(first)
        double = 100 * (len(arrivals["steady"]) - len(first)) / len(first)
    burst = sorted(arrived for _, _, arrived in arrivals["burst"])
    rate = None
    if with_rate and len(burst) > 1 and burst[-1] > burst[0]:
        rate = (len(burst) - 1) * LARGE_BITS / (burst[-1] - burst[0]) * 1000
    loss = 100 * (count - len(first)) / count
    rounded = [
        None if x is None else round(x, 3) for x in (delay, jitter, overtaking, double, rate)
    ]
    return Measured(node, interface, count, rounded[0], rounded[1], round(loss, 3), *rounded[2:])


def _overtaking(first: Mapping[int, tuple[int, int]]) -> int:
    """How many frames arrived before one that was sent earlier."""
    latest, count = 0, 0
    for number in sorted(first):
        arrived = first[number][1]
        count += arrived < latest
        latest = max(latest, arrived)
    return count
