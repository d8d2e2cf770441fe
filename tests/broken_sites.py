"""The sites of topologies/broken, and what their first lines say of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "topologies" / "broken"
BEGIN, END = "<!-- sites -->\n", "<!-- end of sites -->\n"


@dataclass(frozen=True, slots=True)
class BrokenSite:
    """A site, what is wrong in it, and the check and subject that must be named as the cause.

    `subject` is what the name of the failing object begins with.
    """

    file: Path
    cause: str
    check: str
    subject: str

    @property
    def name(self) -> str:
        return self.file.stem


def read(file: Path) -> BrokenSite:
    """The site of a file that begins with its cause and ``# Diagnosis: CHECK SUBJECT``."""
    first, second = file.read_text().splitlines()[:2]
    assert first.startswith("# "), first
    assert second.startswith("# Diagnosis: "), second
    check, _, subject = second.removeprefix("# Diagnosis: ").partition(" ")
    return BrokenSite(file, first.removeprefix("# "), check, subject)


SITES = [read(file) for file in sorted(FOLDER.glob("*.yaml"))]


def table() -> str:
    """The table of docs/broken.md."""
    rows = [
        f"| [{site.name}](../topologies/broken/{site.file.name}) | {site.cause} "
        f"| `{site.check}` {site.subject} |"
        for site in SITES
    ]
    return "\n".join(["| site | cause | diagnosis |", "|---|---|---|", *rows, ""])
