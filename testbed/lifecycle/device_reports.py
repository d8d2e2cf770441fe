"""What routing daemons report when they only parse: places in the file, in their own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Found = tuple[int, int, str, str | None]  # line, column, message, hint
BIRD = re.compile(r"bird\.conf:(?P<line>\d+):(?P<column>\d+) (?P<text>.*)$")
VTYSH = re.compile(r"^line (?P<line>\d+): % (?P<text>[^\[:]+)[^:]*: (?P<words>.*)$")
FRR = re.compile(r"\] (?P<text>[^\]]*) on config line (?P<line>\d+): (?P<words>.*)$")
LONGEST = 80


def of_bird(output: str) -> Iterator[Found]:
    """BIRD's errors."""
    for line in output.splitlines():
        if match := BIRD.search(line):
            yield int(match["line"]), int(match["column"]), f"BIRD: {match['text']}", None


def of_vtysh(output: str) -> Iterator[Found]:
    """Lines that are no command of any daemon."""
    for line in output.splitlines():
        if match := VTYSH.match(line):
            words = match["words"].strip()[:LONGEST]
            yield int(match["line"]), 1, f"FRR: {match['text'].strip().lower()}: {words}", None


def of_frr(daemon: str) -> Callable[[str], Iterator[Found]]:
    """Read the lines that a daemon of FRR's has left out; what it says before a line is why."""

    def read(output: str) -> Iterator[Found]:
        why = ""
        for line in output.splitlines():
            if line.startswith("% "):
                why = line.removeprefix("% ")
            if not (match := FRR.search(line)):
                continue
            unknown = match["text"].startswith("No such command")
            reason = "unknown command" if unknown else why or match["text"]
            words = match["words"].strip()[:LONGEST]
            yield int(match["line"]), 1, f"{daemon}: {reason}: {words}", None
            why = ""

    return read
