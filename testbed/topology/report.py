"""Collecting what is wrong with a topology's document, each violation with its path in the data."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from testbed.errors import LONGEST_TEXT, Path, Violation, aws_code, shorten


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
    """The violations found so far in a document's `data`.

    `rule` is the part of the checks whose turn it is. `spoiled` are the paths that a
    violation makes unusable: they are left out of what is checked next, and nothing that
    follows from them is reported.
    """

    data: Any
    rule: str = "schema"
    violations: list[Violation] = field(default_factory=list)
    spoiled: set[Path] = field(default_factory=set)
    absent: frozenset[Path] = frozenset()
    _seen: set[Violation] = field(default_factory=set)

    def add(self, path: Path, message: str, hint: str | None = None, *, key: bool = False) -> None:
        """Report that the value at `path`, or its key, is wrong, and the remedy."""
        path = self.original(path)
        gone = any(path[:length] in self.absent for length in range(len(path) + 1))
        if gone or (self.absent and not self.has(path)):
            return
        message = shorten(message, LONGEST_TEXT)
        remedy = shorten(hint, LONGEST_TEXT) if hint else None
        found = Violation(path, self.rule, message, remedy, aws_code(message), at_key=key)
        if found not in self._seen:
            self._seen.add(found)
            self.violations.append(found)

    def has(self, path: Path) -> bool:
        """Whether the document itself has a value at `path`."""
        value = self.data
        for step in path:
            if not isinstance(value, dict | list):
                return False
            try:
                value = value[step]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def spoil(self, path: Path) -> None:
        """Leave `path`, as it is in the document, out of what is checked next."""
        self.spoiled.add(path)

    def touched(self, path: Path) -> bool:
        """Whether `path` was spoiled, or anything in it."""
        return self.covers(path) or any(other[: len(path)] == path for other in self.spoiled)

    def original(self, path: Path) -> Path:
        """The path in the document of what has `path` in the form, which lacks absent items."""
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
