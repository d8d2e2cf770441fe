"""From one ruleset to another: nft commands for what differs, so that all else keeps its state.

A ruleset that is loaded anew loses its counters, the state of its limits and what its sets have
learned, and the kernel waits a tick until nobody uses the old one. So only elements of sets, and
whole chains, are exchanged.

It reads rulesets as the testbed writes them: a table, set, map or chain begins with a line that
ends with its brace, each rule is a line, and a set's elements are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

_TABLE = re.compile(r"table (\w+ [\w.-]+) \{")
_OBJECT = re.compile(r"(set|map|chain) ([\w.-]+) \{")
_ELEMENTS = re.compile(r"elements = \{ (.*) \}")


class _UnknownError(ValueError):
    """The ruleset has something that is not known here."""


@dataclass
class _Object:
    """A set, map or chain: what it is declared with, and its elements or rules."""

    kind: str
    head: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        """Take in a line of its body."""
        if self.kind == "chain":
            (self.head if line.startswith("type ") else self.items).append(line)
        elif match := _ELEMENTS.fullmatch(line):
            self.items += match[1].split(", ")
        else:
            self.head.append(line)

    @property
    def declaration(self) -> str:
        """What follows its name where it is added."""
        return f" {{ {'; '.join(self.head)}; }}".replace(";;", ";") if self.head else ""


# Sets and maps have names of their own, and so have chains.
_Table = dict[tuple[bool, str], _Object]


def commands(before: str, after: str) -> str | None:
    """Return the commands that turn one ruleset into another; None where it has to be loaded."""
    try:
        old, new = _read(before), _read(after)
    except _UnknownError:
        return None
    lines = [f"delete table {name}" for name in old if name not in new]
    for name, table in new.items():
        if name not in old:
            lines += _whole(name, table)
        elif not _compatible(old[name], table):
            lines += [f"delete table {name}", *_whole(name, table)]
        else:
            lines += _changed(name, old[name], table)
    return "".join(f"{line}\n" for line in lines)


def _read(text: str) -> dict[str, _Table]:
    """The tables of a ruleset with their objects."""
    tables: dict[str, _Table] = {}
    table: _Table | None = None
    entry: _Object | None = None
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("#"):
            continue
        if line == "}":
            if entry is not None:
                entry = None
            elif table is not None:
                table = None
            else:
                raise _UnknownError(line)
        elif entry is not None:
            entry.add(line)
        elif table is not None and (match := _OBJECT.fullmatch(line)):
            entry = table[match[1] == "chain", match[2]] = _Object(match[1])
        elif table is None and (match := _TABLE.fullmatch(line)) and match[1] not in tables:
            table = tables[match[1]] = {}
        else:
            raise _UnknownError(line)
    if table is not None:
        raise _UnknownError("the last table does not end")
    return tables


def _compatible(old: _Table, new: _Table) -> bool:
    """Whether what both have is declared alike."""
    both = old.keys() & new.keys()
    return all((old[n].kind, old[n].head) == (new[n].kind, new[n].head) for n in both)


def _whole(name: str, table: _Table) -> list[str]:
    return [f"add table {name}", *_changed(name, {}, table)]


def _changed(table: str, old: _Table, new: _Table) -> Iterator[str]:
    """Commands in an order in which everything that is named exists, and nothing that goes is."""
    gone = {key: entry for key, entry in old.items() if key not in new}
    differing = {k: e for k, e in new.items() if k not in old or _content(e) != _content(old[k])}
    for key, entry in differing.items():
        if key not in old:
            yield f"add {entry.kind} {table} {key[1]}{entry.declaration}"
    for key, entry in old.items():
        if key in gone and entry.items:
            yield f"flush {entry.kind} {table} {key[1]}"
        elif key in differing:
            yield from _taken(f"{table} {key[1]}", entry, differing[key])
    for key, entry in differing.items():
        yield from _given(f"{table} {key[1]}", old.get(key), entry)
    for kind in ("chain", "map", "set"):
        for (_, name), entry in gone.items():
            if entry.kind == kind:
                yield f"delete {kind} {table} {name}"


def _content(entry: _Object) -> object:
    """What two objects are compared by: the order of elements means nothing."""
    return entry.items if entry.kind == "chain" else frozenset(entry.items)


def _taken(place: str, old: _Object, new: _Object) -> Iterator[str]:
    """Take out what is not to be there any more."""
    if _as_a_whole(old):
        if old.items:
            yield f"flush {old.kind} {place}"
    elif lost := _without(old.items, new.items):
        yield f"delete element {place} {{ {', '.join(lost)} }}"


def _given(place: str, old: _Object | None, new: _Object) -> Iterator[str]:
    if new.kind == "chain":
        yield from (f"add rule {place} {rule}" for rule in new.items)
        return
    known = old.items if old is not None and not _as_a_whole(new) else ()
    if more := _without(new.items, known):
        yield f"add element {place} {{ {', '.join(more)} }}"


def _as_a_whole(entry: _Object) -> bool:
    """Whether its items are exchanged all at once: rules have an order, intervals overlap."""
    return entry.kind == "chain" or any("interval" in line for line in entry.head)


def _without(items: Sequence[str], others: Iterable[str]) -> list[str]:
    known = set(others)
    return [item for item in items if item not in known]
