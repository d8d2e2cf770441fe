"""Asking BIRD for its sessions over its control socket.

The protocol is BIRD's own: lines that start with a four-digit code and a
space (last line of a reply) or a dash (more follows), or with a space
(continuation). https://bird.network.cz/?get_doc&v=20&f=prog-2.html#ss2.9
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass

TIMEOUT_S = 2.0
REPLY_END = re.compile(rb"(?:^|\n)(?:0000|[0189]\d\d\d) [^\n]*\n\Z")
PROTOCOL = re.compile(
    r"^(?P<name>\S+)\s+BGP\s+\S+\s+(?P<state>\S+)\s+"
    r"(?P<since>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d\d:\d\d:\d\d(?:\.\d+)?|\S+)\s*(?P<info>.*)$"
)
ROUTES = re.compile(r"^\s+Routes:\s+(?P<imported>\d+) imported.*?(?P<exported>\d+) exported")


@dataclass
class Session:
    """A BGP session as BIRD sees it. `state` is the BGP state machine's (RFC 4271)."""

    state: str
    since: str
    last_error: str = ""
    imported: int = 0
    exported: int = 0
    neighbor: str = ""


class BirdError(Exception):
    """BIRD does not answer (yet)."""


def ask(path: str, command: str) -> list[str]:
    """Send `command` to the BIRD at socket `path`; its reply's lines without their codes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(TIMEOUT_S)
        try:
            sock.connect(path)
            _receive(sock)
            sock.sendall(command.encode() + b"\n")
            reply = _receive(sock)
        except OSError as error:
            raise BirdError(str(error)) from error
    return [line[5:] if line[:4].isdigit() else line[1:] for line in reply.splitlines()]


def _receive(sock: socket.socket) -> str:
    data = b""
    while not REPLY_END.search(data):
        chunk = sock.recv(65536)
        if not chunk:
            raise BirdError("connection closed")
        data += chunk
    return data.decode(errors="replace")


def parse_sessions(lines: list[str]) -> dict[str, Session]:
    """The BGP sessions in the reply to `show protocols all`, by protocol name."""
    sessions: dict[str, Session] = {}
    current: Session | None = None
    for line in lines:
        if line and not line[0].isspace():
            match = PROTOCOL.match(line)
            current = None
            if match:
                words = match["info"].split()
                current = Session(words[0] if words else match["state"], match["since"])
                sessions[match["name"]] = current
        elif current is not None:
            _detail(current, line)
    return sessions


def _detail(session: Session, line: str) -> None:
    text = line.strip()
    if text.startswith("BGP state:"):
        session.state = text.partition(":")[2].strip()
    elif text.startswith("Neighbor address:"):
        session.neighbor = text.partition(":")[2].strip().partition("%")[0]
    elif text.startswith("Last error:"):
        session.last_error = text.partition(":")[2].strip()
    elif match := ROUTES.match(line):
        session.imported, session.exported = int(match["imported"]), int(match["exported"])


def sessions(path: str) -> dict[str, Session]:
    """The BGP sessions of the BIRD at socket `path`; BirdError when it does not answer."""
    return parse_sessions(ask(path, "show protocols all"))


def configure(path: str) -> str | None:
    """Have the BIRD at socket `path` read its changed configuration; why it refuses, if it does.

    A BIRD that refuses runs on with the configuration that it had.
    """
    reply = ask(path, "configure")[-1]
    return None if reply.startswith("Reconfig") else reply
