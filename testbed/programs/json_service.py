"""A service of AWS's that speaks the JSON protocol: POST, with the operation in X-Amz-Target.

HTTP without TLS, as all services of AWS's are here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from testbed.programs.metadata import Request
from testbed.programs.services import MAX_REQUEST, TcpClient

TARGET, TYPE = "x-amz-target", "application/x-amz-json-1.1"
Operate = Callable[[str, dict[str, Any]], dict[str, Any]]


class RefusedError(Exception):
    """A request that the service refuses, with AWS's code and message."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status

    def to_json(self) -> dict[str, Any]:
        """Return the error as the protocol has it."""
        return {"__type": self.code, "message": self.message}


def handle(connection: TcpClient, operate: Operate) -> None:
    """Answer one request, once it is complete, and close."""
    head, end, body = connection.inbox.partition(b"\r\n\r\n")
    if not end:
        return
    request = Request(head)
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_REQUEST:
        connection.outbox, connection.closing = response(400, {}), True
        return
    if len(body) < int(length):
        return
    operation = request.headers.get(TARGET, "").rpartition(".")[2]
    try:
        status, said = 200, operate(operation, json.loads(body or b"{}"))
    except RefusedError as error:
        status, said = error.status, error.to_json()
    except ValueError as error:
        status, said = 400, {"__type": "SerializationException", "message": str(error)}
    except (LookupError, TypeError, AttributeError) as error:  # of parameters of another form
        message = f"The parameters are not those of {operation}: {error!r}"
        status, said = 400, {"__type": "InvalidParameterException", "message": message}
    connection.outbox, connection.closing = response(status, said), True
    print(f"{time.time():.3f} {connection.peer} {operation} {status}", flush=True)  # noqa: T201


def response(status: int, said: dict[str, Any]) -> bytes:
    """Return an HTTP response."""
    body = json.dumps(said).encode()
    reason = "OK" if status == 200 else "Bad Request" if status < 500 else "Server Error"
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: {TYPE}\r\n"
    head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
