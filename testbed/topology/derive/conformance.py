"""The limits of conformance checks, with what the file leaves out."""

from __future__ import annotations

from testbed.topology.model import Conformance, FailoverBudgets
from testbed.topology.schema import ConformanceForm


def derive_conformance(form: ConformanceForm) -> Conformance:
    """The limits of the file, else the defaults."""
    failover = {name: value for name, value in form.failover if value is not None}
    given = {"rtt_ms": form.rtt, "bandwidth_mbps": form.bandwidth}
    limits = {name: value for name, value in given.items() if value is not None}
    return Conformance(FailoverBudgets(**failover), **limits)
