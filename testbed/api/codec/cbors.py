"""Bodies in CBOR, of the protocol smithy-rpc-v2-cbor: members go by their names in the model."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import cbor2
from botocore.model import Shape

from testbed.api.codec.scalars import read_scalar
from testbed.api.errors import ApiError

NAME, TYPE = "rpc-v2-cbor", "application/cbor"
PROTOCOL = f"smithy-{NAME}"
HEADER = {"smithy-protocol": NAME}
KINDS: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "blob": bytes,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
}


def load(body: bytes) -> Any:
    """Return what a body says; ApiError where it is not CBOR."""
    try:
        return cbor2.loads(body) if body else {}
    except (ValueError, EOFError, RecursionError, ArithmeticError, cbor2.CBORError):
        message = "The request body is not valid CBOR."
        raise ApiError("SerializationException", message) from None


def dump(value: Any) -> bytes:
    """Return a body; times are seconds since 1970, under CBOR's tag for those."""
    return bytes(cbor2.dumps(value, datetime_as_timestamp=True))


def read(shape: Shape, value: Any) -> Any:
    """Return a value in the types of its shape."""
    if shape.type_name == "timestamp":
        return value if isinstance(value, datetime) else read_scalar(shape, value)
    kind = KINDS[shape.type_name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ApiError("SerializationException", f"{shape.name} is not a {shape.type_name}")
    return _each(shape, value, read)


def write(shape: Shape, value: Any) -> Any:
    """Return a value as CBOR has it."""
    if shape.type_name in ("float", "double"):
        return float(value)
    if shape.type_name == "timestamp" and isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return _each(shape, value, write)


def _each(shape: Shape, value: Any, change: Callable[[Shape, Any], Any]) -> Any:
    inner: Any = shape
    match shape.type_name:
        case "structure":
            return {
                member: change(below, value[member])
                for member, below in inner.members.items()
                if value.get(member) is not None
            }
        case "list":
            return [change(inner.member, each) for each in value]
        case "map":
            return {str(key): change(inner.value, each) for key, each in value.items()}
    return value
