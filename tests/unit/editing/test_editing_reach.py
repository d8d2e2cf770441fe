"""What the schema can say, operations can change: derived from the schema itself."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from editing_examples import ROUND_TRIPS, WRITTEN, everything
from pydantic import BaseModel

from testbed.topology.editing.tree import ANY
from testbed.topology.schema import TopologyForm
from testbed.topology.schema.shape import bare, fields, shape_at

Pattern = tuple[str, ...]

# What a testbed is for as long as it runs.
FIXED = {("testbed",), ("name",), ("time",), ("seed",), ("region", "name")}
KEPT = "aws"  # by AWS's endpoint, which writes it beside each operation's outcome


def keys(form: Any, at: Pattern = ()) -> Iterator[Pattern]:
    """All keys that a document can have, with ANY for names and indexes."""
    form = bare(form)
    if isinstance(form, type) and issubclass(form, BaseModel):
        for key, field in fields(form).items():
            yield (*at, key)
            yield from keys(field.annotation, (*at, key))
    elif typing.get_origin(form) is dict:
        yield from keys(typing.get_args(form)[1], (*at, ANY))
    elif typing.get_origin(form) is list:
        yield from keys(typing.get_args(form)[0], (*at, ANY))


def mappings(form: Any, at: Pattern = ()) -> Iterator[Pattern]:
    """All mappings of named objects that a document can have."""
    for pattern in keys(form, at):
        shape = shape_at(form, pattern)
        if typing.get_origin(shape) is dict:
            yield pattern


def differences(one: Any, other: Any, at: Pattern = ()) -> Iterator[Pattern]:
    """The keys whose values differ, with ANY where the schema has names or indexes."""
    if one == other:
        return
    yield at
    if isinstance(one, list) or isinstance(other, list):
        rows = [row for row in [*(one or []), *(other or [])] if row not in (one or [])]
        rows += [row for row in (one or []) if row not in (other or [])]
        for row in rows:
            yield from differences(None, row, (*at, ANY))
        return
    one, other = (side if isinstance(side, dict) else {} for side in (one, other))
    named = typing.get_origin(shape_at(TopologyForm, at)) is dict
    for key in {*one, *other}:
        yield from differences(one.get(key), other.get(key), (*at, ANY if named else str(key)))


def test_every_key_can_be_changed() -> None:
    document = everything()
    reached: set[Pattern] = {()}
    for change in [*(change for change, _ in ROUND_TRIPS), *WRITTEN]:
        reached |= {*differences(document.data, change(document).data)}
    wanted = {pattern for pattern in keys(TopologyForm) if pattern[0] != KEPT}
    assert wanted - FIXED - reached == set()


def test_every_mapping_has_an_operation_that_adds_and_one_that_removes() -> None:
    document = everything()
    added: set[Pattern] = set()
    removed: set[Pattern] = set()
    for change, inverse in ROUND_TRIPS:
        changed = change(document)
        for old, new in ((document, changed), (changed, inverse(changed))):
            for pattern in mappings(TopologyForm):
                less, more = names_in(old.data, pattern), names_in(new.data, pattern)
                added |= {pattern} if more - less else set()
                removed |= {pattern} if less - more else set()
    wanted = {pattern for pattern in mappings(TopologyForm) if pattern[0] != KEPT}
    assert wanted - added == set()
    assert wanted - removed == set()


def names_in(data: Any, pattern: Pattern, at: Pattern = ()) -> set[Pattern]:
    """The objects, by their paths, in all mappings of a pattern."""
    if not pattern:
        return {(*at, str(name)) for name in data} if isinstance(data, dict) else set()
    step, *rest = pattern
    if isinstance(data, list):
        children = {str(index): child for index, child in enumerate(data)}
    else:
        children = data if isinstance(data, dict) else {}
    found: set[Pattern] = set()
    for key, child in children.items():
        if step in (ANY, key):
            found |= names_in(child, tuple(rest), (*at, key))
    return found
