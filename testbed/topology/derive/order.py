"""The order of a topology's objects: that of their numbers, not of their places in the file."""

from __future__ import annotations

from typing import Any, TypeVar

from testbed.topology.numbers import END, Numbers
from testbed.topology.schema import Form

AnyForm = TypeVar("AnyForm", bound=Form)


def ordered(form: AnyForm, numbers: Numbers, at: str = "order") -> AnyForm:
    """Return the form with the entries of each mapping in the order in which they came to be.

    From a file alone that is the file's order; later the file may be reordered, and nothing that
    follows from it changes.
    """
    changed = {}
    for field in form.model_fields_set:
        value = getattr(form, field)
        found = _ordered(value, numbers, f"{at}/{field}")
        if found is not value:
            changed[field] = found
    return form.model_copy(update=changed) if changed else form


def _ordered(value: Any, numbers: Numbers, at: str) -> Any:
    if isinstance(value, Form):
        return ordered(value, numbers, at)
    if not isinstance(value, dict) or not value:
        return value
    places = numbers.claim_all(at, map(str, value), range(1, END))
    entries = {key: _ordered(entry, numbers, f"{at}/{key}") for key, entry in value.items()}
    keys = sorted(value, key=lambda key: places[str(key)])
    same = keys == list(value) and all(entries[key] is value[key] for key in keys)
    return value if same else {key: entries[key] for key in keys}
