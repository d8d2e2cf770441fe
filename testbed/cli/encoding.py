"""Output in whatever character set the locale has: what it lacks is written otherwise.

A command's text has lines, dots and arrows, and users' own names. Where standard output cannot
have them (LC_ALL=C, ISO-8859-1 …) they become what looks most like them, never an error.
"""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

_ERRORS = "testbed.alike"
_ALIKE = {
    "…": "...",
    "→": "->",
    "●": "o",
    "·": ".",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
}
_LINES = {"HORIZONTAL": "-", "VERTICAL": "|"}


def write_any_character() -> None:
    """Have standard output and error take every character, in any locale."""
    codecs.register_error(_ERRORS, _alike)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def has_every_character() -> bool:
    """Whether standard output can have all characters as they are."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return codecs.lookup(encoding).name.startswith("utf")


def alike(text: str) -> str:
    """The same in ASCII, with a question mark for what nothing looks like."""
    return "".join(map(_one, text))


def _one(character: str) -> str:
    if character.isascii():
        return character
    if character in _ALIKE:
        return _ALIKE[character]
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        directions = {word for word in _LINES if word in name.split()}
        return _LINES[directions.pop()] if len(directions) == 1 else "+"
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or "?"


def _alike(error: UnicodeError) -> tuple[str, int]:
    """The error handler (codecs.register_error)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return alike(error.object[error.start : error.end]), error.end
