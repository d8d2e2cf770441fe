"""Collecting what is wrong with a topology file, each problem with its place in the text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from testbed.errors import Problem
from testbed.topology.file.position import Document, Flaw, Path, Position, dotted, shorten


def suggest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be."""
    names = list(known)
    close = difflib.get_close_matches(word[:64], names, n=1, cutoff=0.6)
    return close[0] if close else next((n for n in names if n.lower() == word.lower()), None)


def plural(key: str) -> str:
    """What the entries of a mapping are called: those of `network_acls` are network ACLs."""
    words = {"vpc": "VPC", "vpcs": "VPCs", "nat": "NAT", "acls": "ACLs", "outposts": "Outposts"}
    return " ".join(words.get(word, word) for word in key.split("_"))


def choices(word: str, known: Iterable[str], what: str) -> str:
    """A hint for an unknown word: the one that was meant, or what there is."""
    names = list(known)
    meant = suggest(word, names)
    if meant:
        return f"did you mean '{meant}'?"
    if not names:
        return f"there are no {what} in this file"
    listed = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"{what} are: {listed}"


@dataclass
class Report:
    """The problems found so far.

    `spoiled` are the paths that a problem makes unusable: they are left out
    of what is checked next, and nothing that follows from them is reported.
    """

    file: str
    document: Document
    problems: list[Problem] = field(default_factory=list)
    spoiled: set[Path] = field(default_factory=set)
    absent: frozenset[Path] = frozenset()
    _seen: set[tuple[Position, str]] = field(default_factory=set)

    def add(self, path: Path, message: str, hint: str | None = None, *, key: bool = False) -> None:
        """Report a problem with the value at `path`, or with its key."""
        path = self.original(path)
        gone = any(path[:length] in self.absent for length in range(len(path) + 1))
        if gone or (self.absent and not self.document.has(path)):
            return
        self._add(self.document.locate(path, key=key), path, message, hint)

    def flaw(self, flaw: Flaw) -> None:
        """Report a problem with the YAML itself."""
        self._add(flaw.position, flaw.path, flaw.message, flaw.hint)

    def spoil(self, path: Path) -> None:
        """Leave `path`, as it is in the file, out of what is checked next."""
        self.spoiled.add(path)

    def touched(self, path: Path) -> bool:
        """Whether `path` was spoiled, or anything in it."""
        return self.covers(path) or any(other[: len(path)] == path for other in self.spoiled)

    def original(self, path: Path) -> Path:
        """The path in the file of what has `path` in the form, which lacks absent list items."""
        found: Path = ()
        for step in path:
            if isinstance(step, int):
                index = -1
                for _ in range(step + 1):
                    index += 1
                    while (*found, index) in self.absent:
                        index += 1
                found = (*found, index)
            else:
                found = (*found, step)
        return found

    def covers(self, path: Path) -> bool:
        """Whether `path` is, or is part of, something that was spoiled."""
        return any(path[:length] in self.spoiled for length in range(len(path) + 1))

    def _add(self, position: Position, path: Path, message: str, hint: str | None) -> None:
        if (position, message) in self._seen:
            return
        self._seen.add((position, message))
        at = (self.file, position.line, position.column)
        hint = shorten(hint, 600) if hint else None
        self.problems.append(Problem(*at, dotted(path), shorten(message, 600), hint))

    def sorted(self) -> list[Problem]:
        """The problems in the order of the file."""
        return sorted(self.problems, key=lambda problem: (problem.line, problem.column))
