"""What a guest with virtual time leaves to chance: the same for the same seed."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import struct

RNDADDENTROPY = 0x40085203  # linux/random.h
PR_SET_TIMERSLACK = 29
BYTES = 32


def begin(seed: int) -> None:
    """Make the kernel's random numbers follow from `seed`, and its timers exact.

    Whatever else its numbers come from is the same in each guest: the moments
    of interrupts, which are virtual, and a host whose random numbers it cannot
    get (testbed/guest/uml.py). Every process inherits the timers' precision.
    """
    entropy = hashlib.blake2s(str(seed).encode(), digest_size=BYTES).digest()
    with open("/dev/urandom", "wb") as device:  # noqa: PTH123
        fcntl.ioctl(device, RNDADDENTROPY, struct.pack("ii", 8 * BYTES, BYTES) + entropy)
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
