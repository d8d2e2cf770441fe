"""An HTTP request from a node."""

from __future__ import annotations

import http.client
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from testbed.errors import NetworkError, UsageError

if TYPE_CHECKING:
    import socket

    from testbed.control.client import Client

GRACE_S = 30.0  # for a slow guest to start Python


@dataclass(frozen=True, slots=True)
class HttpReply:
    """Status, headers and body of an answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")


class _Bytes:
    """What `http.client` reads an answer from instead of a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO(self._data)


def parse(data: bytes) -> HttpReply:
    """Read an answer; NetworkError when it is none."""
    response = http.client.HTTPResponse(cast("socket.socket", _Bytes(data)))
    try:
        response.begin()
        body = response.read()
    except (http.client.HTTPException, ValueError) as error:
        raise NetworkError(f"no valid HTTP answer: {error!r}") from error
    return HttpReply(response.status, dict(response.getheaders()), body)


def get(client: Client, node: str, url: str, *, timeout_s: float = 5.0) -> HttpReply:
    """Fetch `url` (http only) from `node`; NetworkError when there is no answer."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or any(c in url for c in "\r\n "):
        raise UsageError(f"not an http URL: {url!r}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    argv = ["testbed-fetch", parts.hostname, str(parts.port or 80), f"{timeout_s:g}"]
    done = client.run(node, argv, input=request.encode(), timeout=timeout_s + GRACE_S)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip() or "no answer"
        raise NetworkError(f"{url} from {node}: {reason}")
    return parse(done.stdout)
