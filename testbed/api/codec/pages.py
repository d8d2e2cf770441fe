"""Pages of long answers, as the paginators of botocore expect them."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from testbed.api.codec.models import paginator
from testbed.api.codec.requests import Call
from testbed.api.errors import ApiError


def page(call: Call, result: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a result that a call asks for, with the token of the next one."""
    how = paginator(call.service, call.name)
    key = how and how.get("result_key")
    if not how or not isinstance(key, str) or not isinstance(result.get(key), list):
        return result
    rows = result[key]
    start = _offset(call.parameters.get(how["input_token"]), len(rows))
    limit = call.parameters.get(how.get("limit_key", ""))
    end = len(rows) if limit is None else start + int(limit)
    found = {**result, key: rows[start:end]}
    if end < len(rows):
        found[how["output_token"]] = base64.b64encode(f"from {end}".encode()).decode()
    return found


def _offset(token: str | None, length: int) -> int:
    if token is None:
        return 0
    try:
        word, _, number = base64.b64decode(token, validate=True).decode().partition(" ")
        if word == "from" and 0 <= int(number) <= length:
            return int(number)
    except (ValueError, binascii.Error):
        pass
    raise ApiError("InvalidNextToken", "The token that was provided is not valid.")
