"""Bodies in JSON, of the protocols json and rest-json."""

from __future__ import annotations

import json
from typing import Any

from botocore.model import Shape

from testbed.api.codec.scalars import read_scalar, write_blob, write_time
from testbed.api.errors import ApiError


def load(body: bytes) -> Any:
    """Return what a body says; ApiError where it is not JSON."""
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError):
        message = "The request body is not valid JSON."
        raise ApiError("SerializationException", message) from None


def read(shape: Shape, value: Any) -> Any:
    """Return a value in the types of its shape."""
    inner: Any = shape
    match shape.type_name:
        case "structure":
            if inner.is_document_type:
                return value
            given = _of(dict, value, shape)
            return {
                member: read(below, given[name])
                for member, below in inner.members.items()
                if given.get(name := name_of(below, member)) is not None
            }
        case "list":
            return [read(inner.member, each) for each in _of(list, value, shape)]
        case "map":
            return {key: read(inner.value, each) for key, each in _of(dict, value, shape).items()}
        case _:
            return read_scalar(shape, value)


def write(shape: Shape, value: Any) -> Any:
    """Return a value as JSON has it."""
    inner: Any = shape
    if value is None or getattr(shape, "is_document_type", False):
        return value
    match shape.type_name:
        case "structure":
            value = {
                name_of(below, member): write(below, value[member])
                for member, below in inner.members.items()
                if value.get(member) is not None and "location" not in below.serialization
            }
        case "list":
            value = [write(inner.member, each) for each in value]
        case "map":
            value = {str(key): write(inner.value, each) for key, each in value.items()}
        case "timestamp":
            value = write_time(shape, value, "unixtimestamp")
        case "blob":
            value = write_blob(value)
    return value


def name_of(shape: Shape, member: str) -> str:
    """Return what a member is called on the wire."""
    return str(shape.serialization.get("name", member))


def _of(kind: type, value: Any, shape: Shape) -> Any:
    if not isinstance(value, kind):
        raise ApiError("SerializationException", f"{shape.name} is not a {kind.__name__}")
    return value
