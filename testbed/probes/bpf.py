"""Filters in pcap-filter(7)'s language, applied to packets in this process by libpcap."""

from __future__ import annotations

import ctypes
from functools import cache

from testbed.errors import HostError, UsageError

_LIBRARIES = ("libpcap.so.0.8", "libpcap.so.1")
_SNAPLEN = 262144


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


class _Header(ctypes.Structure):
    _fields_ = (
        ("seconds", ctypes.c_long),
        ("microseconds", ctypes.c_long),
        ("captured", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
    )


@cache
def _library() -> ctypes.CDLL:
    for name in _LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.pcap_open_dead.restype = ctypes.c_void_p
        library.pcap_geterr.restype = ctypes.c_char_p
        for function in ("pcap_geterr", "pcap_close"):
            getattr(library, function).argtypes = [ctypes.c_void_p]
        library.pcap_compile.argtypes = [
            *(ctypes.c_void_p, ctypes.POINTER(_Program)),
            *(ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32),
        ]
        return library
    raise HostError("cannot load libpcap", hint="apt-get install libpcap0.8")


class Filter:
    """A compiled filter; UsageError with libpcap's own words when it is none.

    `link_type` is the packets' (LINKTYPE_…): 1 is Ethernet.
    """

    def __init__(self, expression: str, link_type: int = 1) -> None:
        library = _library()
        self._program = _Program()
        handle = ctypes.c_void_p(library.pcap_open_dead(link_type, _SNAPLEN))
        try:
            text = expression.encode()
            if library.pcap_compile(handle, ctypes.byref(self._program), text, 1, 0xFFFFFFFF):
                said = (library.pcap_geterr(handle) or b"").decode(errors="replace")
                hint = "filters are those of tcpdump: man 7 pcap-filter"
                raise UsageError(f"not a filter: {expression!r}: {said}", hint=hint)
        finally:
            library.pcap_close(handle)

    def matches(self, packet: bytes) -> bool:
        """Whether the filter lets a packet through."""
        header = _Header(0, 0, len(packet), len(packet))
        function = _library().pcap_offline_filter
        return bool(function(ctypes.byref(self._program), ctypes.byref(header), packet))
