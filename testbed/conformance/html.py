"""The report as one self-contained HTML file."""

from __future__ import annotations

from pathlib import Path

from testbed.conformance.results import Report
from testbed.plan.model import Plan


def write(path: Path, report: Report, plan: Plan) -> None:
    """Write the report of a run against what `plan` has built."""
    raise NotImplementedError((path, report, plan))
