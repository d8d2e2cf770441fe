"""Parameters of faults, and how their values are written.

Every value is a text ("50ms", "10M", "2%") or a plain number in the
parameter's own unit; in a `Fault` it is a number in that unit, or a text. Durations are in
ms, rates in Mbit/s, shares in percent.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from testbed.errors import UsageError
from testbed.quantities import (
    HIGHEST_RATE_MBPS,
    LONGEST_DELAY_MS,
    delay_ms,
    rate_mbps,
    span_s,
)

Value = str | int | float
Type = Literal["duration", "rate", "percent", "number", "ports", "prefix", "address", "choice"]

_SHARE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?%?")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
LONGEST_S = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a kind of fault: all that a file, the command line and people need of it.

    Without a `default` it may be left out, unless it is `required`. A number is between
    `lowest` and `highest`; `choices` are what a choice may be. One that `narrows` says which
    part of the target is meant, not what happens to it. `example` is for the help; without
    one its type has one.
    """

    name: str
    type: Type
    help: str
    default: Value | None = None
    required: bool = False
    choices: tuple[str, ...] = ()
    lowest: int = 0
    highest: int = 0
    narrows: bool = False
    example: str = ""

    @property
    def metavar(self) -> str:
        """Return what stands for a value in a command line, such as TIME."""
        return TYPES[self.type].metavar or "|".join(self.choices)

    @property
    def unit(self) -> str:
        """Return the unit that its values have in a `Fault`; "" where they have none."""
        return TYPES[self.type].unit

    @property
    def figure(self) -> str:
        """Return the name of the figure that a measurement has for it."""
        return f"{self.name}_{TYPES[self.type].figure}"

    @property
    def sample(self) -> str:
        """Return a value for an example."""
        return self.example or TYPES[self.type].example

    def text(self, value: Value) -> str:
        """Return a value as it is given on the command line."""
        return f"{value:g}{self.unit}" if isinstance(value, float) else f"{value}{self.unit}"

    def parse(self, value: Any) -> Value:
        """Return the value in the parameter's unit; UsageError with what it may be."""
        given = value if type(value) in {int, float} else str(value)
        try:
            return TYPES[self.type].parse(self, given)
        except ValueError as error:
            message = f"{self.name} {str(value)[:60]!r} is not {error}"
            raise UsageError(message) from None


def _number(parameter: Parameter, value: Value) -> int:
    wanted = f"a whole number from {parameter.lowest} to {parameter.highest}"
    try:
        number = int(str(value))
    except ValueError:
        raise ValueError(wanted) from None
    if not parameter.lowest <= number <= parameter.highest:
        raise ValueError(wanted)
    return number


def _choice(parameter: Parameter, value: Value) -> str:
    if value not in parameter.choices:
        raise ValueError(f"one of {', '.join(parameter.choices)}")
    return str(value)


def _quantity(value: Value, read: Callable[[str], float], highest: float, what: str) -> float:
    try:
        number = read(value.strip()) if isinstance(value, str) else float(value)
    except ValueError:
        raise ValueError(what) from None
    if not 0 <= number <= highest:  # neither is NaN
        raise ValueError(what)
    return round(number, 9)


def _duration(_: Parameter, value: Value) -> float:
    what = "a time up to 10 s such as 50ms"
    return _quantity(value, lambda text: delay_ms(text, 1.0), LONGEST_DELAY_MS, what)


def _rate(_: Parameter, value: Value) -> float:
    what = "a rate such as 10M or 1Gbit"
    number = _quantity(value, lambda text: rate_mbps(text, 1.0), HIGHEST_RATE_MBPS, what)
    if not number:
        raise ValueError(what)
    return number


def _percent(_: Parameter, value: Value) -> float:
    return _quantity(value, _share, 100.0, "a share from 0 to 100%")


def _share(text: str) -> float:
    match = _SHARE.fullmatch(text)
    return float(match[1]) if match else math.nan


def _ports(_: Parameter, value: Value) -> str:
    match = _PORTS.fullmatch(str(value))
    if match:
        first, last = int(match[1]), int(match[2] or match[1])
        if first <= last <= 65535:
            return f"{first}-{last}" if match[2] else str(first)
    raise ValueError("a port or a range of ports such as 1024-65535")


def _prefix(_: Parameter, value: Value) -> str:
    from ipaddress import ip_network  # noqa: PLC0415 - slow to import

    try:
        return str(ip_network(str(value)))
    except ValueError:
        raise ValueError("an address or a CIDR block such as 10.0.0.0/8") from None


def _address(_: Parameter, value: Value) -> str:
    from ipaddress import ip_address  # noqa: PLC0415 - slow to import

    try:
        return str(ip_address(str(value)))
    except ValueError:
        raise ValueError("an address such as 10.0.0.1") from None


class _Form(NamedTuple):
    """How the values of a type are written, kept, measured and read."""

    metavar: str
    unit: str
    figure: str
    example: str
    parse: Callable[[Parameter, Value], Value]


TYPES: dict[Type, _Form] = {
    "duration": _Form("TIME", "ms", "ms", "50ms", _duration),
    "rate": _Form("RATE", "Mbit/s", "mbps", "10M", _rate),
    "percent": _Form("PERCENT", "%", "percent", "1%", _percent),
    "number": _Form("N", "", "", "100", _number),
    "ports": _Form("PORT[-PORT]", "", "", "443", _ports),
    "prefix": _Form("PREFIX", "", "", "10.9.0.0/16", _prefix),
    "address": _Form("ADDRESS", "", "", "10.9.0.1", _address),
    "choice": _Form("", "", "", "", _choice),
}


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
