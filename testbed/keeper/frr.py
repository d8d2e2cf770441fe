"""Asking FRR's bgpd for its sessions over its VTY socket.

A command goes out with a terminating zero; the reply ends with three zeros
and the command's status (lib/command.h, vtysh's own protocol).
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from typing import Any

TIMEOUT_S = 2.0
END = b"\0\0\0"


class FrrError(Exception):
    """The daemon does not answer (yet)."""


def ask(path: str, command: str) -> str:
    """Send `command` to the daemon whose VTY socket is `path`; its output."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(TIMEOUT_S)
        try:
            sock.connect(path)
            _command(sock, "enable")
            return _command(sock, command)
        except OSError as error:
            raise FrrError(str(error)) from error


def _command(sock: socket.socket, command: str) -> str:
    sock.sendall(command.encode() + b"\0")
    data = b""
    while data[-4:-1] != END:
        chunk = sock.recv(65536)
        if not chunk:
            raise FrrError("connection closed")
        data += chunk
    return data[:-4].decode(errors="replace")


def knows(path: str, interfaces: Iterable[tuple[str, str | None]]) -> bool:
    """Whether the zebra at VTY socket `path` knows the interfaces, each in its VRF."""
    return all(
        f"\n  vrf: {vrf or 'default'}\n" in ask(path, f"show interface {name}")
        for name, vrf in interfaces
    )


def sessions(path: str, *, failed: bool = False) -> dict[tuple[str, ...], dict[str, Any]]:
    """Bgpd's sessions by (VRF, neighbour): FRR's own objects of `show bgp vrf all summary json`.

    Only those that have `failed` tell why.
    """
    which = "failed " if failed else ""
    try:
        summary = json.loads(
            ask(path, f"show bgp vrf all ipv4 unicast summary {which}json") or "{}"
        )
    except ValueError as error:
        raise FrrError("unreadable reply") from error
    return {
        (vrf, neighbor): session
        for vrf, table in summary.items()
        if isinstance(table, dict)
        for neighbor, session in table.get("peers", {}).items()
    }
