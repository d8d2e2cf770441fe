"""`testbed-metadata`: serves instance metadata at 169.254.169.254 (IMDSv1 and v2).

It runs in a VPC router's node. Its file has what each instance may read,
as a tree of names; it is read again when it has changed, so that sessions
outlive a change. An instance is known by its private address: the router's
ruleset lets nothing here that is not from the interface which has it.

Requests, answers and status codes are those of the EC2 user guide (facts: EC2,
instance metadata): a session token is made by PUT and is good for its
instance only; where IMDSv2 is required everything else needs one; the answer
to PUT goes as few hops as the instance's hop limit says.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from testbed.programs.services import Server, TcpClient

ADDRESS = "169.254.169.254"
PORT = 80
TOKEN_PATH = "latest/api/token"  # noqa: S105 - a path
TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105 - a header's name
MAX_TTL_S = 21600
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
}


class Request:
    """The head of an HTTP request."""

    def __init__(self, head: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.method, _, rest = lines[0].partition(" ")
        self.path = rest.partition(" ")[0].partition("?")[0]
        fields = (line.partition(":") for line in lines[1:])
        self.headers = {name.strip().lower(): value.strip() for name, _, value in fields}


class Answer:
    """An answer: status, body, further headers."""

    def __init__(self, status: int, body: str = "", **headers: str) -> None:
        self.status = status
        self.body = body
        self.headers = headers

    def encode(self, method: str) -> bytes:
        """The answer on the wire."""
        body = self.body
        if self.status != 200:
            body = f"{self.status} - {REASONS[self.status]}\n"
        head = f"HTTP/1.1 {self.status} {REASONS[self.status]}\r\nServer: EC2ws\r\n"
        head += f"Content-Type: text/plain\r\nContent-Length: {len(body.encode())}\r\n"
        head += "".join(
            f"{key.replace('_', '-')}: {value}\r\n" for key, value in self.headers.items()
        )
        head += "Connection: close\r\n\r\n"
        return head.encode() + (b"" if method == "HEAD" else body.encode())


class Tokens:
    """Session tokens; nothing is kept of them, so there may be any number."""

    def __init__(self) -> None:
        self._key = os.urandom(32)

    def make(self, instance: str, ttl_s: int, now: float) -> str:
        """A token of `instance` for the next `ttl_s` seconds."""
        expires = f"{int(now) + ttl_s:x}"
        return f"{expires}-{self._sign(instance, expires)}"

    def left(self, token: str, instance: str, now: float) -> int | None:
        """How many seconds the token is good for; None when it is not."""
        expires, _, signature = token.partition("-")
        if not hmac.compare_digest(signature.encode(), self._sign(instance, expires).encode()):
            return None
        left = int(expires, 16) - int(now)
        return left if left > 0 else None

    def _sign(self, instance: str, expires: str) -> str:
        return hmac.new(self._key, f"{instance} {expires}".encode(), hashlib.sha256).hexdigest()


Tree = dict[str, Any]
"""Names to texts or to further trees."""


def lookup(tree: Tree, path: str) -> str | None:
    """The text at `path`, or the names there, directories with a slash; None: neither."""
    found: Any = tree
    for name in path.split("/"):
        if name:
            found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        return None if found is None else str(found)
    return "\n".join(
        sorted(f"{name}/" if isinstance(value, dict) else name for name, value in found.items())
    )


def answer(instance: dict[str, Any], tokens: Tokens, request: Request, now: float) -> Answer:
    """What the service says to an instance's request."""
    if not instance["enabled"]:
        return Answer(403)
    if request.method == "PUT":
        return _token(instance, tokens, request, now)
    if request.method not in {"GET", "HEAD"}:
        return Answer(405)
    given = request.headers.get(TOKEN_HEADER)
    headers = {}
    if given is not None:
        left = tokens.left(given, instance["id"], now)
        if left is None:
            return Answer(401)
        headers["X_Aws_Ec2_Metadata_Token_Ttl_Seconds"] = str(left)
    elif instance["token_required"]:
        return Answer(401)
    found = lookup(instance["tree"], request.path)
    return Answer(404) if found is None else Answer(200, found, **headers)


def _token(instance: dict[str, Any], tokens: Tokens, request: Request, now: float) -> Answer:
    if request.path.strip("/") != TOKEN_PATH:
        return Answer(403)
    if "x-forwarded-for" in request.headers:  # a reverse proxy is not the instance itself
        return Answer(403)
    ttl = request.headers.get(TTL_HEADER, "")
    if not ttl.isdecimal() or not 1 <= int(ttl) <= MAX_TTL_S:
        return Answer(400)
    token = tokens.make(instance["id"], int(ttl), now)
    return Answer(200, token, X_Aws_Ec2_Metadata_Token_Ttl_Seconds=ttl)


class Service:
    """The service of one router: reads its file, answers connections."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read: tuple[int, int] | None = None
        self._content: dict[str, Any] = {"addresses": {}, "instances": {}}
        self._tokens = Tokens()

    def instance(self, address: str) -> dict[str, Any] | None:
        """The instance that has the address."""
        stat = self._file.stat()
        version = (stat.st_mtime_ns, stat.st_size)
        if version != self._read:
            try:
                self._content = json.loads(self._file.read_text())
                self._read = version
            except ValueError:
                pass  # it is being written; what was known holds until it is complete
        name = self._content["addresses"].get(address)
        found: dict[str, Any] | None = self._content["instances"].get(name)
        return found

    def handle(self, connection: TcpClient) -> None:
        """Answer one request and close."""
        head, end, _ = connection.inbox.partition(b"\r\n\r\n")
        if not end:
            return
        request = Request(head)
        instance = self.instance(connection.peer.rpartition(":")[0])
        said = Answer(404)
        if instance is not None:
            said = answer(instance, self._tokens, request, time.time())
            if request.method == "PUT":
                hops = instance["hop_limit"]
                connection.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
        connection.outbox = said.encode(request.method)
        connection.closing = True
        line = f"{connection.peer} {request.method} {request.path!r} {said.status}"
        print(line, flush=True)  # noqa: T201 - the access log


def main(argv: list[str]) -> None:
    """`testbed-metadata NODE FILE`."""
    name, file = argv
    server = Server(name)
    server.listen(PORT, Service(Path(file)).handle, ADDRESS)
    server.run()
