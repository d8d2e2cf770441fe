"""An outage as one HTML file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.outage.table import back, gap, reasons, summary
from testbed.render import files
from testbed.render.html import environment

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.outage.model import Run


def render(run: Run) -> str:
    """Return the report as HTML."""
    template = environment("testbed.outage").get_template("outage.html.j2")
    users = sorted(run.users.items(), key=lambda item: -item[1].lost)
    words = {"gap": gap, "back": back, "reasons": reasons}
    return template.render(run=run, users=users, lines=summary(run), **words)


def write(path: Path, run: Run) -> None:
    """Write the report. Raises UsageError if it cannot be written."""
    files.write(path, render(run))
