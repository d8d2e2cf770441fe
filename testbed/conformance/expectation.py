"""What a check says when an object is not as it should be, and what it has measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

NOTHING: tuple[object, ...] = (None, "", b"", (), [], {})
NO_DATA = "nothing: it could not be read"


class Deviation(AssertionError):  # noqa: N818 - what it is, not an error of the program
    """An object is not what a check expects of it.

    `subject` is the object as people call it ("op-a.lag1 on cnd1", more exact than
    what the check was run for where the check knows), `remedy` what to do about
    it, where the check knows more than its docstring says.
    """

    def __init__(self, subject: str, *, expected: str, seen: str, remedy: str = "") -> None:
        super().__init__(f"{subject}: expected {expected}; seen: {seen}")
        self.subject = subject
        self.expected = expected
        self.seen = seen
        self.remedy = remedy


def expect(ok: object, subject: object, *, expected: str, seen: object, remedy: str = "") -> None:
    """Raise `Deviation` unless `ok`; what was `seen` must be there even if it is.

    No data is never a pass: with None or something empty as `seen` the check
    fails, whatever `ok` is. Say "none" where none is what should be seen.
    """
    __tracebackhide__ = True  # pytest shows the check, not this
    if seen in NOTHING:
        raise Deviation(str(subject), expected=expected, seen=NO_DATA, remedy=remedy)
    if not ok:
        raise Deviation(str(subject), expected=expected, seen=str(seen), remedy=remedy)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A figure that a check measured, against the most or least that is allowed."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it is within its limits."""
        above = self.at_most is not None and self.value > self.at_most
        below = self.at_least is not None and self.value < self.at_least
        return not (above or below)

    @property
    def limit(self) -> str:
        """The limit in words: "at most 175 ms"."""
        if self.at_most is not None:
            return f"at most {self.at_most:g} {self.unit}"
        return "" if self.at_least is None else f"at least {self.at_least:g} {self.unit}"

    def __str__(self) -> str:
        digits = f"{self.value:.0f}" if abs(self.value) >= 1000 else f"{self.value:.3g}"
        return f"{digits} {self.unit}"

    def to_json(self) -> dict[str, Any]:
        """As reports have it."""
        return asdict(self) | {"ok": self.ok}
