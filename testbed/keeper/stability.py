"""Whether BGP sessions stay up, by what is seen of them while one waits.

A session is Established before either end has heard what the other announces: it may
be about to be reset for it. And one that is reset each few seconds is Established
whenever one happens to look.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.keeper.sessions import SIGNATURES

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.plan.checks import BgpCheck

# A limit of prefixes takes BIRD 0.3 s after the first of them, FRR less.
YOUNG_S = 0.5
STEADY_S = 6.0  # what is tried again is tried again after 4 s at most
CERTAIN_S = 10.0
SAME_SPELL_S = 0.3  # BIRD's times vary by some ms, and it takes a second to come up again
# What no second try mends: RFC 4271 (6.2), RFC 4486, in the words of BIRD and of FRR.
LASTING = re.compile(
    r"peer AS|BGP ID|BGP identifier|number of prefixes|limit exceeded|version number"
    r"|Unacceptable hold time|capability|administrative(ly)? shut ?down|MD5",
    re.IGNORECASE,
)
Row = dict[str, Any]


@dataclass
class _Seen:
    """What has been seen of a session so far."""

    spell: float | None = None  # tells one time of being up from the next; None while down
    began: float = 0.0
    flaps: int = 0
    reason: str | None = None
    troubled_at: float | None = None
    signatures: tuple[int, ...] | None = None


class Stability:
    """Judges sessions, each time they are looked at."""

    def __init__(self) -> None:
        self._sessions: dict[BgpCheck, _Seen] = {}
        self._begun = time.time()

    def judge(self, check: BgpCheck, row: Row, refused: Callable[[str], tuple[int, ...]]) -> Row:
        """The session's row: not ok while it may not stay up, and with the reason there was.

        `refused` counts what a node has dropped because of MD5.
        """
        if "since" not in row:  # its daemon does not answer, or does not know it
            return row
        seen = self._sessions.setdefault(check, _Seen())
        spell = self._spell(row)
        ended = seen.spell is not None and (spell is None or spell > seen.spell + SAME_SPELL_S)
        if ended and seen.began > self._begun:  # what ends an older one is the change itself
            seen.flaps += 1
        seen.spell, seen.began = spell, row["began"] or 0.0
        if not row["ok"]:
            reason = row.get("reason") or self._signatures(seen, refused(check.node))
            seen.reason = reason or seen.reason
            if seen.flaps or LASTING.search(seen.reason or ""):
                seen.troubled_at = seen.troubled_at or time.monotonic()
            return row | {"state": _told(row["state"], seen), "reason": seen.reason}
        age = row["age_s"]
        if age is None or age >= (STEADY_S if seen.flaps else self._young_s(check)):
            seen.troubled_at = None
            return row
        state = _told(f"{row['state']} for {age:.1f} s", seen)
        return row | {"ok": False, "state": state, "reason": seen.reason}

    @staticmethod
    def _spell(row: Row) -> float | None:
        """When a session came up; of FRR, which tells its times to the second only, how often."""
        if not row["ok"]:
            return None
        if row["resets"] is not None:
            return float(row["resets"])
        began: float | None = row["began"]
        return began

    @staticmethod
    def _young_s(check: BgpCheck) -> float:
        return YOUNG_S if check.daemon == "bird" else 0.0

    @staticmethod
    def _signatures(seen: _Seen, counts: tuple[int, ...]) -> str | None:
        """What TCP says of signatures, where it has refused some since the first look."""
        seen.signatures = seen.signatures or counts
        for now, before, what in zip(counts, seen.signatures, SIGNATURES.values(), strict=True):
            if now > before:
                return f"TCP segments refused {what}"
        return None

    def hopeless(self) -> str | None:
        """Say what has been wrong for so long that it will not mend by itself; None: nothing."""
        now = time.monotonic()
        for check, seen in self._sessions.items():
            if seen.troubled_at is None or now - seen.troubled_at < CERTAIN_S:
                continue
            if LASTING.search(seen.reason or ""):
                return f"{check.title}: {seen.reason}"
        return None


def _told(state: str, seen: _Seen) -> str:
    if not seen.flaps:
        return state
    return f"{state}, went down {seen.flaps} time{'' if seen.flaps == 1 else 's'}"
