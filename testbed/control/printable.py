"""Text that others have chosen, such as a name of an interface in a node, made safe to print.

Control characters would steer the terminal of who reads it, and marks of the
writing direction would show another text than there is.
"""

from __future__ import annotations

import re
from typing import Any

CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
# What a text in JSON, as ASCII, must have for any of these to be in it.
SUSPECT = re.compile(rb"\\u(00[01789]|20[026])|\\[bfr]|\x7f")


def printable(text: str) -> str:
    """The text with control characters written out, except ends of lines and tabs."""
    return CONTROL.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number <= 0xFF else f"\\u{number:04x}"


def cleaned(data: Any) -> Any:
    """JSON data with every text in it, keys included, as `printable` has it."""
    if isinstance(data, str):
        return printable(data)
    if isinstance(data, dict):
        return {cleaned(key): cleaned(value) for key, value in data.items()}
    if isinstance(data, list):
        return [cleaned(item) for item in data]
    return data
