"""Framing of the control socket (docs/protocol.md), shared by clients, keeper and relay."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import Any

from testbed.errors import HostError, UsageError

HEADER = struct.Struct("!BI")
MAX_FRAME = 256 * 1024 * 1024
MAX_REQUEST = 64 * 1024 * 1024  # a plan of a hundred racks has a third of it
LONG_MESSAGE = 64 * 1024
COMPRESSED = b"\x78"  # what zlib's format begins with, and JSON's objects don't
CREDIT = struct.Struct("!I")
STDIN_WINDOW = 1 << 18  # bytes of standard input that a command need not have read
PROTOCOL_VERSION = 2
CONTROL_SOCKET = "control.sock"
NETNS_DIRECTORY = Path("/run/netns")  # where `ip netns` looks
NAME_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


class Frame(IntEnum):
    """Types of frame on a connection."""

    MESSAGE = 0
    STDIN = 1
    STDOUT = 2
    STDERR = 3
    CREDIT = 4


def pack(kind: Frame, payload: bytes) -> bytes:
    """One frame, ready to be sent."""
    return HEADER.pack(kind, len(payload)) + payload


def pack_message(message: dict[str, Any]) -> bytes:
    """A message frame with `message` as JSON, compressed if it is long."""
    payload = json.dumps(message, separators=(",", ":")).encode()
    if len(payload) >= LONG_MESSAGE:
        payload = zlib.compress(payload, level=1)
    return pack(Frame.MESSAGE, payload)


def plain(payload: bytes | bytearray, limit: int = MAX_FRAME) -> bytes:
    """The JSON in a message frame; UsageError where it is longer than `limit` bytes."""
    if payload[:1] != COMPRESSED:
        return bytes(payload)
    inflating = zlib.decompressobj()
    try:
        text = inflating.decompress(payload, limit)
    except zlib.error as error:
        raise UsageError(f"protocol error: the message cannot be read: {error}") from None
    if not inflating.eof:
        raise UsageError(f"protocol error: a message of more than {limit} bytes, or half of one")
    return text


def message_of(payload: bytes | bytearray, limit: int = MAX_FRAME) -> dict[str, Any]:
    """The object in a message frame; UsageError when there is none that can be read."""
    try:
        message = json.loads(plain(payload, limit))
    except RecursionError:
        raise UsageError("protocol error: the message is nested too deeply") from None
    except ValueError as error:
        raise UsageError(f"protocol error: the message is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise UsageError("protocol error: a message must be an object")
    return message


def runtime_directory() -> Path:
    """Where the running testbeds of this user are registered; TESTBED_RUNTIME_DIR overrides it.

    Root's is /run/testbed. A user's is in XDG_RUNTIME_DIR or, where that is
    not set or another user's (`su` passes it on), in /run/user/UID; without a
    session, as in containers, it is /tmp/testbed-UID. HostError when somebody
    else has put something there.
    """
    if override := os.environ.get("TESTBED_RUNTIME_DIR"):
        if not override.startswith("/"):
            hint = "its programs run in different folders: write the whole path"
            raise UsageError(f"TESTBED_RUNTIME_DIR {override!r} is not an absolute path", hint=hint)
        return Path(override)
    user = os.geteuid()
    if user == 0:
        return Path("/run/testbed")
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{user}"):
        if parent and _is_own(Path(parent)):
            return Path(parent, "testbed")
    path = Path(f"/tmp/testbed-{user}")  # noqa: S108  its owner and mode are checked
    with suppress(FileNotFoundError):
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != user or status.st_mode & 0o077:
            hint = "set XDG_RUNTIME_DIR or TESTBED_RUNTIME_DIR to one of your own directories"
            raise HostError(f"{path} is not private to user {user}", hint=hint)
    return path


def _is_own(directory: Path) -> bool:
    """Whether the directory is there, this user's, and writable."""
    try:
        is_own = directory.is_dir() and directory.stat().st_uid == os.geteuid()
    except OSError:
        return False
    return is_own and os.access(directory, os.W_OK | os.X_OK)


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


DIAL_S = 20  # a keeper that takes no connection as long has been stopped
# What says that nobody listens: there is no socket, or none behind it, or another user's.
NOBODY = {errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED, errno.EPERM, errno.EACCES, errno.ELOOP}
UCRED = struct.Struct("3i")  # struct ucred of SO_PEERCRED: pid, uid, gid


def peer(sock: socket.socket) -> tuple[int, int]:
    """The process and the user at the other end of a connection."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
    pid, uid, _ = UCRED.unpack(credentials)
    return pid, uid


def dial(name: str) -> socket.socket:
    """A connection to the keeper of testbed `name`.

    OSError when nobody listens; PermissionError when another user does: root
    could talk to that one, but has no business with it. HostError where this
    process cannot tell, or the testbed takes no connection.
    """
    sock = None
    try:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", DIAL_S, 0))
        with control_address(testbed_directory(name)) as address:
            sock.connect(address)
        if peer(sock)[1] != os.geteuid():
            raise PermissionError(errno.EPERM, "the testbed is another user's")
    except OSError as error:
        if sock is not None:
            sock.close()
        if error.errno == errno.EAGAIN:
            text = f"testbed {name} does not accept connections"
            hint = "see `testbed list` for its process; has it been stopped?"
            raise HostError(text, hint=hint) from None
        if error.errno not in NOBODY:
            text = f"cannot ask testbed {name}: {os.strerror(error.errno or 0).lower()}"
            raise HostError(text, hint=limits(error.errno)) from None
        raise
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 0))
    return sock


def limits(number: int | None) -> str | None:
    """The hint for an error that a limit of this process's, or of the machine, is behind."""
    if number == errno.EMFILE:
        import resource  # noqa: PLC0415 - only on the way to an error

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"this shell allows {soft} open files: ulimit -n 4096"
    if number == errno.ENFILE:
        return "the machine's limit of open files is reached: sysctl fs.file-max"
    if number in {errno.ENOMEM, errno.EAGAIN}:
        return "memory or processes are used up, or limited: ulimit -v, ulimit -u"
    return None
