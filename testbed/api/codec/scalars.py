"""Scalars on the wire: numbers, booleans, times, blobs, strings."""

from __future__ import annotations

import base64
import binascii
import math
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from botocore.model import Shape
from botocore.utils import parse_timestamp

from testbed.api.errors import ApiError

BOOLEANS = {"true": True, "false": False}


def read_scalar(shape: Shape, value: Any, name: str = "") -> Any:
    """Return the value of what is on the wire; ApiError where it is none of its type."""
    try:
        return _read(shape.type_name, value)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, binascii.Error):
        shown = str(value)[:100]
        message = f"Value ({shown}) for parameter {name or shape.name} is invalid."
        raise ApiError("InvalidParameterValue", message) from None


def _read(kind: str, value: Any) -> Any:
    match kind:
        case "integer" | "long":
            return int(value)
        case "float" | "double":
            return float(value)
        case "boolean":
            return value if isinstance(value, bool) else BOOLEANS[value.lower()]
        case "timestamp":
            return parse_timestamp(value)
        case "blob":
            return base64.b64decode(value)
        case _:
            if not isinstance(value, str):
                raise TypeError(value)
            return value


def write_text(shape: Shape, value: Any, timestamp_format: str = "iso8601") -> str:
    """Return a scalar as XML and headers have it."""
    match shape.type_name:
        case "boolean":
            return "true" if value else "false"
        case "timestamp":
            return str(write_time(shape, value, timestamp_format))
        case "blob":
            return write_blob(value)
        case "float" | "double":
            return _number(value)
        case _:
            return str(value)


def write_blob(value: bytes | str) -> str:
    """Return bytes in base64."""
    return base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()


def write_time(shape: Shape, value: Any, default: str) -> str | float:
    """Return a time as its shape wants it, or else as its protocol does."""
    if isinstance(value, int | float):
        value = datetime.fromtimestamp(value, UTC)
    moment: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
    moment = moment.astimezone(UTC)
    match shape.serialization.get("timestampFormat", default):
        case "unixtimestamp":
            return round(moment.timestamp(), 3)
        case "rfc822":
            return format_datetime(moment, usegmt=True)
        case _:
            return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)
