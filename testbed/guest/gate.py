"""Where a guest whose time is virtual stops, as both of its ends know it (docs/virtual-time.md).

A guest in the kernel's external time-travel mode makes its host wait for
nothing: what it has to wait for is skipped. Only one thing stops it, and
every clock in it: a write to `CALL_FILE`, which returns when the host has
answered. What is written says why the guest stops, and what it has sent and
taken so far: both ends decide on the same grounds each time.
"""

from __future__ import annotations

import struct
from enum import IntEnum

CALL_FILE = "/sys/kernel/um-ext-time/bc-message"
INBOX = "inbox"
"""The directory, in the testbed's, of what the guest is to read: files 1, 2, 3, …"""
DOORBELL = struct.Struct("!I")
"""On the control port, while the guest does not stand still: files up to this number are there."""
NUMBER_BITS, SENT_BITS = 56, 32


class Call(IntEnum):
    """Why a guest calls."""

    STAND = 1
    """Nothing in it needs time; answered when there is one more file for it."""
    RUN = 2
    """Time is about to pass."""
    REST = 3
    """What needed time is over; it will soon stand."""
    STALL = 4
    """It waits for its host to take in what it has sent; answered when that may have happened."""
    PACE = 5
    """A person watches; answered when as much real time has passed as virtual. In nanoseconds."""


def pack(call: Call, number: int) -> int:
    """Return what the guest writes."""
    return call << NUMBER_BITS | number


def unpack(value: int) -> tuple[Call, int]:
    """Return what a written value means; raises ValueError if it means nothing."""
    return Call(value >> NUMBER_BITS), value & (1 << NUMBER_BITS) - 1


def told(sent: int, taken: int) -> int:
    """Return the number of most calls: how many bytes it has sent, and files it has taken."""
    return taken << SENT_BITS | sent & (1 << SENT_BITS) - 1


def untold(number: int) -> tuple[int, int]:
    """Return the bytes that it has sent, of which the highest are not told, and files taken."""
    return number & (1 << SENT_BITS) - 1, number >> SENT_BITS
