"""Framing of the control socket (docs/protocol.md), shared by clients, keeper and relay."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

HEADER = struct.Struct("!BI")
MAX_FRAME = 256 * 1024 * 1024
PROTOCOL_VERSION = 1
CONTROL_SOCKET = "control.sock"
NETNS_DIRECTORY = Path("/run/netns")  # where `ip netns` looks
NAME_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


class Frame(IntEnum):
    """Types of frame on a connection."""

    MESSAGE = 0
    STDIN = 1
    STDOUT = 2
    STDERR = 3


def pack(kind: Frame, payload: bytes) -> bytes:
    """One frame, ready to be sent."""
    return HEADER.pack(kind, len(payload)) + payload


def pack_message(message: dict[str, Any]) -> bytes:
    """A message frame with `message` as JSON."""
    return pack(Frame.MESSAGE, json.dumps(message, separators=(",", ":")).encode())


def runtime_directory() -> Path:
    """Where the running testbeds of this user are registered; TESTBED_RUNTIME_DIR overrides it."""
    if override := os.environ.get("TESTBED_RUNTIME_DIR"):
        return Path(override)
    if os.geteuid() == 0:
        return Path("/run/testbed")
    return Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")) / "testbed"


def testbed_directory(name: str) -> Path:
    """The directory of testbed `name`; it holds `control.sock` while the testbed lives."""
    return runtime_directory() / name


def netns_link(name: str, node: str) -> Path:
    """Where the namespace of a node is published, if the testbed runs on this kernel."""
    return NETNS_DIRECTORY / f"{name}.{node}"


def control_socket(name: str) -> Path:
    """The control socket of testbed `name`."""
    return testbed_directory(name) / CONTROL_SOCKET


@contextmanager
def control_address(directory: Path) -> Iterator[str]:
    """The address of the control socket in `directory`, however long the directory's path is.

    A UNIX socket's address has room for 107 bytes. Raises OSError when there
    is no such directory.
    """
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{CONTROL_SOCKET}"
    finally:
        os.close(descriptor)


def dial(name: str) -> socket.socket:
    """A connection to the keeper of testbed `name`; OSError when nobody listens."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with control_address(testbed_directory(name)) as address:
            sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock
