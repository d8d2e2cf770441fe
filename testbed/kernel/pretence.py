"""Telling programs that they have changed their user, in a namespace that has only one.

tcpdump, FRR, dnsmasq and others start as root and give that up. A user
namespace that was made without privilege knows no other user, and refuses
setgroups(2) altogether (user_namespaces(7)); these programs would end. So a
seccomp filter answers 0 to the calls that change users and owners without
carrying them out. Nothing is lost: outside, all of it is one ordinary user's.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_LD_W_ABS, _JEQ, _RET = 0x20, 0x15, 0x06
_ALLOW, _ERRNO_0 = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, jt, jf, k

# machine: AUDIT_ARCH_ of linux/audit.h, and the numbers of
# set{u,g}id, setre{u,g}id, setgroups, setres{u,g}id, setfs{u,g}id, then {,f,l}chown, fchownat.
CALLS = {
    "x86_64": (0xC000003E, (105, 106, 113, 114, 116, 117, 119, 122, 123, 92, 93, 94, 260)),
    "aarch64": (0xC00000B7, (146, 144, 145, 143, 159, 147, 149, 151, 152, 55, 54)),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def instructions(machine: str) -> bytes:
    """The filter, as classic BPF; KeyError for a machine that is not known."""
    architecture, numbers = CALLS[machine]
    count = len(numbers)
    code = [
        (_LD_W_ABS, 0, 0, _ARCHITECTURE),
        (_JEQ, 0, count + 1, architecture),
        (_LD_W_ABS, 0, 0, _NUMBER),
        *((_JEQ, count - index, 0, number) for index, number in enumerate(numbers)),
        (_RET, 0, 0, _ALLOW),
        (_RET, 0, 0, _ERRNO_0),
    ]
    return b"".join(_INSTRUCTION.pack(*line) for line in code)


def begin() -> None:
    """Filter the calls of this process and all that it starts; OSError when that is refused."""
    machine = platform.machine()
    if machine not in CALLS:
        return
    code = instructions(machine)
    program = _Program(len(code) // _INSTRUCTION.size, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"a seccomp filter: {os.strerror(number)}")
