"""The kinds of guest, and which of them to use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from testbed.errors import UsageError
from testbed.guest.qemu import QemuGuest
from testbed.guest.uml import UmlGuest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.guest.base import Guest

KINDS: dict[str, type[UmlGuest | QemuGuest]] = {"uml": UmlGuest, "qemu": QemuGuest}
"""The faster one first."""


def preferred(features: Iterable[str] | None = None) -> Guest:
    """Return the guest to use for what needs these features (None: all that a plan may need).

    The fastest that can run here and has the features; where none can, QEMU's,
    whose problems are those to solve. TESTBED_GUEST_KIND names one to be used
    whatever it lacks. Raises UsageError when that is not the name of a kind.
    """
    if wanted := os.environ.get("TESTBED_GUEST_KIND"):
        if wanted not in KINDS:
            raise UsageError(f"TESTBED_GUEST_KIND={wanted!r} is not one of {', '.join(KINDS)}")
        return KINDS[wanted]()
    guest = UmlGuest()
    return guest if not guest.problems() and not guest.lacking(features) else QemuGuest()
