"""Asking a program of ours at its control socket (`testbed.programs.inquiries`)."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

from testbed.errors import NetworkError
from testbed.programs.inquiries import LONGEST, RELOAD

TIMEOUT_S = 5.0


class InquiryError(Exception):
    """The program does not answer."""


def reload(path: str) -> None:
    """Have the program at socket `path` read its file anew. Raises InquiryError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(TIMEOUT_S)
        try:
            sock.connect(path)
            sock.sendall(_line({"op": RELOAD}))
            answer = b""
            while not answer.endswith(b"\n") and (chunk := sock.recv(65536)):
                answer += chunk
            found = json.loads(answer)
        except (OSError, ValueError) as error:
            raise InquiryError(str(error)) from error
    if "error" in found:
        raise InquiryError(str(found["error"]))


async def ask(path: str, request: dict[str, Any]) -> dict[str, Any]:
    """Return what the program at socket `path` answers. Raises NetworkError if it does not."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST)
        try:
            writer.write(_line(request))
            found: dict[str, Any] = json.loads(await reader.readline())
        finally:
            writer.close()
    except (OSError, ValueError) as error:
        raise NetworkError(f"the program at {path} does not answer: {error}") from error
    return found


def _line(request: dict[str, Any]) -> bytes:
    return json.dumps(request).encode() + b"\n"
