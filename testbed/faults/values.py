"""Parameters of faults, and how their values are written.

Every value is a text ("50ms", "10M", "2%") or a plain number in the
parameter's own unit; in a `Fault` it is a number in that unit, or a text.
"""

from __future__ import annotations

import contextlib
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from testbed.errors import UsageError
from testbed.quantities import (
    HIGHEST_RATE_MBPS,
    LONGEST_DELAY_MS,
    delay_ms,
    rate_mbps,
    span_s,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Value = str | int | float
Type = Literal["duration", "rate", "percent", "number", "ports", "prefix", "choice"]

_SHARE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?%?")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
LONGEST_S = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a kind of fault.

    Without a `default` it may be left out, unless it is `required`. A number
    is between `lowest` and `highest`; `choices` are what a choice may be.
    """

    name: str
    type: Type
    help: str
    default: Value | None = None
    required: bool = False
    choices: tuple[str, ...] = ()
    lowest: int = 0
    highest: int = 0

    @property
    def unit(self) -> str:
        """What a value looks like, in a word for people."""
        return {
            "duration": "TIME",
            "rate": "RATE",
            "percent": "PERCENT",
            "number": "N",
            "ports": "PORT[-PORT]",
            "prefix": "PREFIX",
            "choice": "|".join(self.choices),
        }[self.type]

    def parse(self, value: Any) -> Value:
        """The value in the parameter's unit; UsageError with what it may be."""
        parsers: dict[str, Callable[[Any], Value]] = {
            "duration": _duration,
            "rate": _rate,
            "percent": _percent,
            "number": self._number,
            "ports": _ports,
            "prefix": _prefix,
            "choice": self._choice,
        }
        try:
            return parsers[self.type](value if type(value) in {int, float} else str(value))
        except ValueError as error:
            message = f"{self.name} {str(value)[:60]!r} is not {error}"
            raise UsageError(message) from None

    def _number(self, value: Value) -> int:
        wanted = f"a whole number from {self.lowest} to {self.highest}"
        try:
            number = int(str(value))
        except ValueError:
            raise ValueError(wanted) from None
        if not self.lowest <= number <= self.highest:
            raise ValueError(wanted)
        return number

    def _choice(self, value: Value) -> str:
        if value not in self.choices:
            raise ValueError(f"one of {', '.join(self.choices)}")
        return str(value)


def _quantity(value: Value, read: Callable[[str], float], highest: float, what: str) -> float:
    try:
        number = read(value.strip()) if isinstance(value, str) else float(value)
    except ValueError:
        raise ValueError(what) from None
    if not 0 <= number <= highest:  # neither is NaN
        raise ValueError(what)
    return round(number, 9)


def _duration(value: Value) -> float:
    what = "a time up to 10 s such as 50ms"
    return _quantity(value, lambda text: delay_ms(text, 1.0), LONGEST_DELAY_MS, what)


def _rate(value: Value) -> float:
    what = "a rate such as 10M or 1Gbit"
    number = _quantity(value, lambda text: rate_mbps(text, 1.0), HIGHEST_RATE_MBPS, what)
    if not number:
        raise ValueError(what)
    return number


def _percent(value: Value) -> float:
    return _quantity(value, _share, 100.0, "a share from 0 to 100%")


def _share(text: str) -> float:
    match = _SHARE.fullmatch(text)
    return float(match[1]) if match else math.nan


def _ports(value: Value) -> str:
    match = _PORTS.fullmatch(str(value))
    if match:
        first, last = int(match[1]), int(match[2] or match[1])
        if first <= last <= 65535:
            return f"{first}-{last}" if match[2] else str(first)
    raise ValueError("a port or a range of ports such as 1024-65535")


def _prefix(value: Value) -> str:
    from ipaddress import ip_network  # noqa: PLC0415 - slow to import

    try:
        return str(ip_network(str(value)))
    except ValueError:
        raise ValueError("an address or a CIDR block such as 10.0.0.0/8") from None


def seconds(value: Any, name: str) -> float:
    """A point or span of time in s: a number of seconds, or "500ms", "5s", "1m30s"."""
    number = math.nan
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            number = span_s(value.strip())
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    if not 0 <= number <= LONGEST_S:
        hint = "a number of seconds, or with units: 500ms, 5s, 1m30s"
        raise UsageError(f"{name} {str(value)[:60]!r} is not a time", hint=hint)
    return round(number, 6)
