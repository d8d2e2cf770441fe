"""The table of all checks in docs/conformance.md, as their docstrings have it.

``python -m testbed.conformance.report.listing docs/conformance.md`` brings it up to date;
a unit test demands that it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from testbed.conformance.runner import all_checks
from testbed.conformance.suites import Check

BEGIN, END = "<!-- checks -->\n", "<!-- end of checks -->\n"


def to_markdown(checks: Iterable[Check]) -> str:
    """A row for each check."""
    rows = [
        f"| `{check.name}` | {_cell(check.summary)} | {_cell(check.source)} |" for check in checks
    ]
    return "\n".join(["| check | what it verifies | source |", "|---|---|---|", *rows, ""])


def updated(text: str) -> str:
    """The page with the table as it should be; ValueError without the marks for it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no place for the table: {BEGIN.strip()} … {END.strip()}")
    return f"{before}{BEGIN}{to_markdown(all_checks().values())}{END}{after}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(updated(page.read_text()))
