"""What the conformance suites hold the installation to, beside what AWS says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FailoverBudgets:
    """The longest outage of a flow, in ms, after each kind of single failure and of its repair.

    The defaults are what the protocols' timers predict, with room for a busy
    machine (docs/topology.md).
    """

    link: float = 1000.0
    lag: float = 2000.0
    device: float = 5000.0
    tunnel: float = 5000.0
    session: float = 3000.0
    uplink: float = 3000.0


@dataclass(frozen=True, slots=True)
class Conformance:
    """Limits for measurements: outages, and a service link's `rtt_ms` and `bandwidth_mbps`.

    AWS asks for a round trip of at most 175 ms and at least 500 Mbit/s (facts: S1).
    """

    failover: FailoverBudgets = FailoverBudgets()
    rtt_ms: float = 175.0
    bandwidth_mbps: float = 500.0
