"""What AWS keeps of objects beside what packets meet: tags, times, client tokens, descriptions.

It is in the document, under `aws`, by identifier: a document is all that there is of an
installation. What has no place elsewhere in it, such as an internet gateway that is not
attached, is there alone, with its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from testbed.topology.editing.tree import Data

KEY = "aws"
Step = Callable[[Data], Data]


def records(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return all records of a document, by identifier."""
    found: dict[str, Any] = data.get(KEY) or {}
    return found


def record(id_: str, **changes: Any) -> Step:
    """Return a step that changes keys of an object's record; None and empty ones go."""

    def step(data: Data) -> Data:
        there = records(data)
        entry = {**there.get(id_, {}), **changes}
        entry = {key: value for key, value in entry.items() if value not in (None, {}, "")}
        left = {**there, id_: entry} if entry else {k: v for k, v in there.items() if k != id_}
        return {**data, KEY: left} if left else {k: v for k, v in data.items() if k != KEY}

    return step


def values(id_: str, **changes: Any) -> Step:
    """Return a step that changes attributes of an object which packets don't meet."""

    def step(data: Data) -> Data:
        given = {**records(data).get(id_, {}).get("values", {}), **changes}
        kept = {key: value for key, value in given.items() if value is not None}
        return record(id_, values=kept)(data)

    return step


def tags(id_: str, change: Callable[[dict[str, str]], dict[str, str]]) -> Step:
    """Return a step that changes an object's tags."""

    def step(data: Data) -> Data:
        there = dict(records(data).get(id_, {}).get("tags", {}))
        return record(id_, tags=change(there))(data)

    return step


def deleted(id_: str, at: float, **last: Any) -> Step:
    """Return a step that leaves of a record only that there was the object, and `last` values.

    Its identifier, which is made of its name, is not given to another one.
    """

    def step(data: Data) -> Data:
        left = {key: value for key, value in last.items() if value is not None}
        there = {key: value for key, value in records(data).items() if key != id_}
        entry: Data = {"deleted": at}
        if left:
            entry["values"] = left
        return {**data, KEY: {**there, id_: entry}}

    return step


def in_order(*steps: Step) -> Step:
    """Return a step that takes all these steps."""

    def step(data: Data) -> Data:
        for each in steps:
            data = each(data)
        return data

    return step
