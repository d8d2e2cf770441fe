"""Showing a capture in Wireshark while it is made."""

from __future__ import annotations

import shutil
import subprocess
from typing import IO

from testbed.errors import HostError

PROGRAM = "wireshark"


def find_wireshark() -> str:
    """Its path; HostError where it is not installed."""
    if path := shutil.which(PROGRAM):
        return path
    hint = "install the package wireshark, or write a file: testbed capture -w FILE"
    raise HostError("Wireshark is not installed", hint=hint)


def open_wireshark() -> IO[bytes]:
    """Start it; what is written to the stream it shows at once. It stays when that is closed."""
    process = subprocess.Popen(
        [find_wireshark(), "-k", "-i", "-"], stdin=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None
    return process.stdin
