"""Having Unbound read what has changed, over its control socket; its protocol is unbound-control's.

A command is a line after ``UBCT1``, the answer a text until the connection ends
(https://nlnetlabs.nl/documentation/unbound/unbound-control/).
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

SOCKET = "unbound.ctl"
ZONES = "zones.conf"  # the file that names the zones
ZONE = "zone-"  # each zone's file begins so, and ends with its name
ROOT = "zone-root"
TIMEOUT_S = 2.0


class UnboundError(Exception):
    """Unbound does not answer, or cannot do without being started anew."""


def reload(path: str, files: Iterable[str]) -> None:
    """Have the Unbound at socket `path` read files that have changed.

    Zones are exchanged one by one; what it knows of other zones stays in its cache. UnboundError
    where that is not possible.
    """
    changed = set(files)
    commands = []
    if ZONES in changed:
        commands.append("reload")
        changed = {name for name in changed if name != ZONES and not name.startswith(ZONE)}
    for name in sorted(changed):
        if not name.startswith(ZONE):
            raise UnboundError(f"{name} is only read at the start")
        zone = "." if name == ROOT else name.removeprefix(ZONE)
        commands += [f"auth_zone_reload {zone}", f"flush_zone {zone}"]
    for command in commands:
        answer = ask(path, command)
        if not answer.startswith("ok"):
            raise UnboundError(answer)


def ask(path: str, command: str) -> str:
    """Send a command to the Unbound at socket `path`; its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(TIMEOUT_S)
        try:
            sock.connect(path)
            sock.sendall(f"UBCT1 {command}\n".encode())
            answer = b""
            while chunk := sock.recv(65536):
                answer += chunk
        except OSError as error:
            raise UnboundError(str(error)) from error
    return answer.decode(errors="replace").strip()
