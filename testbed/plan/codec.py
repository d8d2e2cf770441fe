"""Plans as JSON, for the keeper's control socket and `testbed plan --json`.

The dataclasses of `testbed.plan.model` are their own schema: a codec is
compiled from their annotations at first use. Members of a union carry their
`kind`; members that have their default value are left out.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from testbed.errors import UsageError
from testbed.plan.model import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    Decoder = Callable[[Any, str], Any]
    Layout = tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]], tuple[Any, ...], str | None]

_REQUIRED = object()


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as nested dicts, lists and scalars."""
    data = encode(plan)
    assert isinstance(data, dict)
    return data


def from_json(data: dict[str, Any]) -> Plan:
    """The plan that `to_json` made `data` from.

    Raises UsageError, naming the place, when `data` is not a plan.
    """
    plan = _decoder(Plan)(data, "plan")
    assert isinstance(plan, Plan)
    return plan


def decode(kind: Any, data: Any, where: str) -> Any:
    """Return the part of a plan, of the annotated type `kind`, that `encode` made `data` from.

    Raises UsageError, naming the place, when it is none.
    """
    return _decoder(kind)(data, where)


def encode(value: Any) -> Any:
    """Return a part of a plan as dicts, lists and scalars."""
    if isinstance(value, str | int | float) or value is None:
        return value
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return dict(value)
    cls: Any = type(value)
    names, get, defaults, kind = _layout(cls)
    members = zip(names, get(value), defaults, strict=True)
    data = {name: encode(member) for name, member, default in members if member != default}
    if kind is not None:
        data["kind"] = kind
    return data


@cache
def _layout(cls: Any) -> Layout:
    """Names, a getter of all members at once, defaults and kind of a dataclass."""
    names = tuple(field.name for field in fields(cls))
    defaults = tuple(_default(field) for field in fields(cls))
    get: Callable[[Any], tuple[Any, ...]]
    if len(names) > 1:
        get = attrgetter(*names)
    else:

        def get(value: Any) -> tuple[Any, ...]:
            return tuple(getattr(value, name) for name in names)

    kind = getattr(cls, "kind", None)  # the descriptor of a member where it is no constant
    return names, get, defaults, kind if isinstance(kind, str) else None


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    return _REQUIRED


@cache
def _decoder(hint: Any) -> Decoder:
    """The function that turns JSON into a value of the annotated type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return _dataclass_decoder(hint)
    if origin is None:
        return _enum_decoder(hint) if issubclass(hint, StrEnum) else _scalar_decoder(hint)
    if origin is tuple:
        return _tuple_decoder(arguments[0])
    if origin is dict:
        return _dict_decoder(arguments[1])
    return _literal_decoder(arguments) if origin is Literal else _union_decoder(arguments)


def _dataclass_decoder(cls: Any) -> Decoder:
    hints = get_type_hints(cls)
    names, _, defaults, kind = _layout(cls)
    required = frozenset(
        name for name, default in zip(names, defaults, strict=True) if default is _REQUIRED
    )
    decoders: dict[str, Decoder] | None = None

    def decode(data: Any, where: str) -> Any:
        nonlocal decoders
        if decoders is None:
            decoders = {name: _decoder(hints[name]) for name in names}
        if not isinstance(data, dict):
            raise _wrong(where, "an object", data)
        members = {}
        for name, value in data.items():
            if (decoder := decoders.get(name)) is not None:
                members[name] = decoder(value, f"{where}.{name}")
            elif name != "kind" or value != kind:
                raise UsageError(f"{where}: unknown member {name!r}")
        if missing := required - members.keys():
            raise UsageError(f"{where}: no {', '.join(sorted(missing))}")
        return cls(**members)

    return decode


def _union_decoder(arguments: tuple[Any, ...]) -> Decoder:
    optional = type(None) in arguments
    choices = [choice for choice in arguments if choice is not type(None)]
    if len(choices) == 1:
        only = _decoder(choices[0])
        return lambda data, where: None if data is None else only(data, where)
    by_kind = {choice.kind: _decoder(choice) for choice in choices}

    def decode(data: Any, where: str) -> Any:
        if data is None and optional:
            return None
        if not isinstance(data, dict):
            raise _wrong(where, "an object", data)
        decoder = by_kind.get(data.get("kind"))
        if decoder is None:
            raise UsageError(f"{where}: kind must be one of {', '.join(sorted(by_kind))}")
        return decoder(data, where)

    return decode


def _tuple_decoder(item: Any) -> Decoder:
    decoder = _decoder(item)

    def decode(data: Any, where: str) -> Any:
        if not isinstance(data, list | tuple):
            raise _wrong(where, "a list", data)
        return tuple(decoder(value, where) for value in data)

    return decode


def _dict_decoder(hint: Any) -> Decoder:
    """A decoder of objects whose values are scalars of one type, or of one of several."""
    allowed = get_args(hint) or (hint,)
    wanted = "a string" if allowed == (str,) else "a string or a number"

    def decode(data: Any, where: str) -> Any:
        if not isinstance(data, dict):
            raise _wrong(where, "an object", data)
        for name, value in data.items():
            if not isinstance(name, str) or type(value) not in allowed:
                raise _wrong(f"{where}.{name}", wanted, value)
        return dict(data)

    return decode


def _literal_decoder(choices: tuple[Any, ...]) -> Decoder:
    def decode(data: Any, where: str) -> Any:
        if data not in choices:
            raise _wrong(where, "one of " + ", ".join(map(str, choices)), data)
        return data

    return decode


def _enum_decoder(cls: type[StrEnum]) -> Decoder:
    def decode(data: Any, where: str) -> Any:
        try:
            return cls(data)
        except ValueError:
            raise _wrong(where, f"one of {', '.join(cls)}", data) from None

    return decode


def _scalar_decoder(cls: Any) -> Decoder:
    def decode(data: Any, where: str) -> Any:
        if type(data) is cls:
            return data
        if cls is float and type(data) is int:
            return float(data)
        raise _wrong(where, {str: "a string", bool: "true or false"}.get(cls, "a number"), data)

    return decode


def _wrong(where: str, wanted: str, data: Any) -> UsageError:
    return UsageError(f"{where}: must be {wanted}, not {data!r:.60}")
