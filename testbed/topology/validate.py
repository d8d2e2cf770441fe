"""From plain data to the form: pydantic's errors in the user's words.

What is wrong is reported and then taken out, so that the rest can still be
checked and every problem of a file shows at once.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from testbed.errors import Path
from testbed.topology.report import Report, choices, suggest
from testbed.topology.schema import TopologyForm
from testbed.topology.schema.shape import fields, shape_at
from testbed.topology.values import show

_KEY = "[key]"
_MAX_ROUNDS = 64
_STAND_INS: dict[str, Any] = {"name": "unnamed", "region": {"name": "region"}}
_WHOLE = {"vifs"}  # lists that mean something only as a whole


def validate(data: Any, report: Report, *, silent: bool = False) -> TopologyForm | None:
    """The form of `data` without what is spoiled; None when nothing usable is left.

    What pydantic finds wrong is reported (unless `silent`) and spoiled.
    """
    for attempt in range(_MAX_ROUNDS):
        report.absent = frozenset(report.spoiled)
        kept = _without(data, (), report)
        if attempt and isinstance(kept, dict):
            kept = _STAND_INS | kept
        try:
            return TopologyForm.model_validate(kept)
        except ValidationError as error:
            details = error.errors(include_url=False)
        found = [(detail, report.original(_path(detail))) for detail in details]
        if attempt == 0 and not silent:
            for detail, path in found:
                _report(detail, path, report)
        for detail, path in found:
            if detail["type"] == "missing" and len(path) == 1 and path[0] in _STAND_INS:
                continue
            prunable = _prunable(detail, path)
            if not prunable:
                return None
            report.spoil(prunable)
    return None


def _without(data: Any, path: Path, report: Report) -> Any:
    """A copy of `data` without the spoiled parts."""
    if isinstance(data, dict):
        items = ((key, value, (*path, key)) for key, value in data.items())
        return {key: _without(value, at, report) for key, value, at in items if _kept(at, report)}
    if isinstance(data, list):
        rows = ((value, (*path, index)) for index, value in enumerate(data))
        return [_without(value, at, report) for value, at in rows if _kept(at, report)]
    return data


def _kept(path: Path, report: Report) -> bool:
    return path not in report.spoiled


def _path(detail: ErrorDetails) -> Path:
    return tuple(step for step in detail["loc"] if step != _KEY)


def _prunable(detail: ErrorDetails, path: Path) -> Path:
    """The smallest part of the data that has to go for this error to go."""
    if detail["type"] == "missing":
        path = path[:-1]
    for index, step in enumerate(path):
        if step in _WHOLE:
            return path[: index + 1]
    return path


def _report(detail: ErrorDetails, path: Path, report: Report) -> None:
    kind = detail["type"]
    value = detail["input"]
    at_key = _KEY in detail["loc"]
    if kind == "missing":
        needed = str(path[-1])
        known = _known(path[:-1])
        strangers = [key for key in value if key not in known] if isinstance(value, dict) else []
        meant = suggest(needed, strangers)
        hint = f"is '{meant}' meant to be '{needed}'?" if meant else _description(path)
        path, message, at_key = path[:-1], f"the key '{needed}' is missing", True
    elif kind == "extra_forbidden":
        message = f"unknown key {show(str(path[-1]))}"
        hint = choices(str(path[-1]), _known(path[:-1]), "known keys")
        at_key = True
    else:
        message, hint = _words(kind, detail.get("ctx", {}), value)
        if value is None and not at_key:
            hint = "leave the key out, or give it a value ({} is an empty mapping)"
        if not at_key:
            hint = hint or _description(path)
    report.add(path, message, hint, key=at_key)


def _words(kind: str, context: dict[str, Any], value: Any) -> tuple[str, str | None]:
    """The sentence and the hint for one of pydantic's error types."""
    if kind == "value":
        return str(context["message"]), context["hint"]
    if kind == "literal_error":
        expected = str(context["expected"])
        words = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
        meant = suggest(str(value), words)
        hint = f"did you mean '{meant}'?" if meant else None
        return f"must be {expected}, is {show(value)}", hint
    sentences = {
        "bool_type": f"must be true or false, is {show(value)}",
        "int_type": f"must be a whole number, is {show(value)}",
        "string_type": f"must be text, is {show(value)}",
        "list_type": f"must be a list, is {show(value)}",
        "dict_type": f"must be a mapping (key: value), is {show(value)}",
        "model_type": f"must be a mapping (key: value), is {show(value)}",
        "string_pattern_mismatch": f"{show(value)} does not have the right form",
    }
    if kind in sentences:
        return sentences[kind], None
    if kind in {"greater_than_equal", "less_than_equal"}:
        bound = context.get("ge", context.get("le"))
        word = "least" if kind == "greater_than_equal" else "most"
        return f"must be at {word} {bound}, is {show(value)}", None
    if kind in {"too_short", "too_long", "string_too_short", "string_too_long"}:
        bound = context.get("min_length", context.get("max_length"))
        word = "least" if kind.endswith("short") else "most"
        things = "characters" if kind.startswith("string") else "entries"
        return f"must have at {word} {bound} {things}, has {len(value)}", None
    return f"is not valid: {kind.replace('_', ' ')}", None


def _form(path: Path) -> Any:
    """The type that the form has at `path`."""
    return shape_at(TopologyForm, path)


def _known(path: Path) -> list[str]:
    form = _form(path)
    if isinstance(form, type) and issubclass(form, BaseModel):
        return list(fields(form))
    return []


def _description(path: Path) -> str | None:
    """What the form says about the nearest key of `path`."""
    while path:
        form = _form(path[:-1])
        if isinstance(form, type) and issubclass(form, BaseModel):
            field = fields(form).get(str(path[-1]))
            return f"{path[-1]}: {field.description}" if field and field.description else None
        path = path[:-1]
    return None
