"""How delays, spans of time and rates are written: ``15ms``, ``1h30m``, ``100M``, ``1.5Gbit``.

The one grammar of topology files, parameters of faults and options of commands.
What a number without a unit counts differs, so each caller says it. All
functions raise ValueError for a text that is not one.
"""

from __future__ import annotations

import re

LONGEST_DELAY_MS = 10_000.0
HIGHEST_RATE_MBPS = 400_000.0

DELAY = r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(us|ms|s)"
RATE = r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([kKMGT])(?:bit|bps|bit/s)?"

_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MBPS = {"k": 0.001, "m": 1.0, "g": 1000.0, "t": 1_000_000.0}
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?")
_DELAY = re.compile(DELAY)
_RATE = re.compile(RATE, re.IGNORECASE)
_PART = re.compile(rf"({_NUMBER.pattern})(ms|s|m|h|d)")


def delay_ms(text: str, plain: float | None = None) -> float:
    """A delay in ms; a number without a unit counts `plain` ms each, or is refused."""
    return _read(text, _DELAY, _MILLISECONDS, plain)


def rate_mbps(text: str, plain: float | None = None) -> float:
    """A rate in Mbit/s; a number without a unit counts `plain` Mbit/s each, or is refused."""
    return _read(text, _RATE, _MBPS, plain)


def _read(
    text: str, grammar: re.Pattern[str], units: dict[str, float], plain: float | None
) -> float:
    if plain is not None and _NUMBER.fullmatch(text):
        return round(float(text) * plain, 9)
    match = grammar.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return round(float(match[1]) * units[match[2].lower()], 9)


def span_s(text: str) -> float:
    """A span of time in seconds: a number of them, or numbers with units, ``1m30s``."""
    if _NUMBER.fullmatch(text):
        return round(float(text), 9)
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text):
        raise ValueError(text)
    return round(sum(float(count) * _SECONDS[unit] for count, unit in parts), 9)
