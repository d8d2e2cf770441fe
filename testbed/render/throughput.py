"""A measurement of throughput, for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from testbed.probes.ping import PingResult, Rtt
from testbed.probes.throughput import Throughput
from testbed.render.style import rows_table
from testbed.render.words import rate


def speed(mbps: float) -> str:
    """A rate with three digits that mean something."""
    return rate(float(f"{mbps:.3g}")) + "/s"


def table(result: Throughput) -> Table:
    """The figures."""
    ends = (result.source, result.destination)
    first, second = reversed(ends) if result.reverse else ends
    what = result.protocol.upper() + (f", {result.parallel} streams" if result.parallel > 1 else "")
    rows = [("sent", speed(result.sent_mbps)), ("received", speed(result.received_mbps))]
    if result.retransmits is not None:
        rows.append(("retransmits", f"{result.retransmits:,}"))
    if result.lost_percent is not None:
        text = f"{result.lost:,} of {result.packets:,} ({result.lost_percent:.2g} %)"
        rows += [("lost datagrams", text), ("jitter", f"{result.jitter_ms:.3f} ms")]
    rows += [("round trip, idle", _rtt(result.idle)), ("round trip, loaded", _rtt(result.loaded))]
    if result.tcp_rtt_ms is not None:
        rows.append(("round trip, TCP", _times(result.tcp_rtt_ms)))
    title = f"{first} to {second}, {what}, {result.seconds:.1f} s"
    return rows_table(title, ("measured", "value"), rows)


def _rtt(result: PingResult) -> str:
    """Minimum, mean and maximum, and what was lost."""
    if result.rtt_ms is None:
        return result.error or "no reply"
    text = _times(result.rtt_ms)
    missing = result.sent - result.received
    return text + (f", {missing} of {result.sent} lost" if missing else "")


def _times(times: Rtt) -> str:
    return f"{times.min:.2f} / {times.avg:.2f} / {times.max:.2f} ms"


def lines(result: Throughput) -> Iterator[str]:
    """What limits it, as far as that was seen."""
    use = result.busiest
    if use is None:
        yield "no link of the topology has a rate limit: this machine is the limit"
        return
    text = f"{use.node}:{use.interface} carried {speed(use.carried_mbps)} of {speed(use.rate_mbps)}"
    if result.limit is not None:
        yield f"limited by the link's rate: {text}"
    else:
        yield f"no link was full: the busiest, {text}"
