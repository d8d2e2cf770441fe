"""The web server in front of an endpoint: starlette on uvicorn."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.routing import Route

from testbed.api.bounded import bounded
from testbed.api.codec.requests import Call, Request
from testbed.api.codec.responses import encode_error
from testbed.api.endpoint import Endpoint
from testbed.api.errors import ApiError
from testbed.errors import HostError

LARGEST = 16 * 2**20  # bytes of a request's body
CONNECTIONS = 1000
AT_ONCE = 64  # calls
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
DEFAULT_PORT = 4566


def application(endpoint: Endpoint) -> Starlette:
    """Return the application that answers every request with the endpoint's response."""
    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def answer(http: HttpRequest) -> HttpResponse:
        try:
            body = await _body(http)
        except ClientDisconnect:
            return HttpResponse(status_code=400)
        except ApiError as error:
            refused = encode_error(Call(), error)
            headers = refused.headers | {"Connection": "close"}
            return HttpResponse(refused.body, refused.status, headers)
        headers = {name.lower(): value for name, value in http.headers.items()}
        path, query = http.scope["raw_path"].decode("latin-1"), http.url.query
        request = Request(http.method, path.partition("?")[0], query, headers, body)
        made = await anyio.to_thread.run_sync(endpoint.handle, request, limiter=limiter)
        return HttpResponse(made.body, made.status, made.headers)

    return Starlette(routes=[Route("/{path:path}", answer, methods=METHODS)])


async def _body(http: HttpRequest) -> bytes:
    """Return the body; ApiError where it is larger than any that AWS takes."""
    if http.headers.get("content-length", "0").isdecimal():
        _check(int(http.headers.get("content-length", "0")))
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        _check(len(body))
    return bytes(body)


def _check(length: int) -> None:
    if length > LARGEST:
        message = f"The request is larger than {LARGEST} bytes."
        raise ApiError("RequestEntityTooLarge", message, 413)


def _room() -> int:
    """Return how many connections there may be: files may be open for as many, and others."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 4 * CONNECTIONS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return min(CONNECTIONS, soft // 2)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; HostError where the address is taken, or not this host's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP, else asyncio does not know it, and leaves small answers to wait for more.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(1024)
    except OSError as error:
        sock.close()
        hint = "choose another one with --listen ADDRESS:PORT; port 0 is any that is free"
        text = f"cannot listen at {host} port {port}: {(error.strerror or str(error)).lower()}"
        raise HostError(text, hint=hint) from None
    return sock


def serve(
    endpoint: Endpoint,
    sock: socket.socket,
    *,
    certificate: tuple[Path, Path] | None = None,
    on_started: Callable[[], None] = lambda: None,
) -> None:
    """Serve an endpoint until the testbed ends, or this process is asked to.

    `certificate` has the files of a certificate and its key, for TLS.
    """
    config = uvicorn.Config(
        application(endpoint),
        log_level="critical",
        access_log=False,
        lifespan="off",
        http=bounded(_room()),
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=64 * 1024,
        ssl_certfile=certificate and str(certificate[0]),
        ssl_keyfile=certificate and str(certificate[1]),
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )
    server = uvicorn.Server(config)

    async def run() -> None:
        started = asyncio.create_task(_after_start(server, on_started))
        ending = asyncio.create_task(asyncio.to_thread(endpoint.ended.wait))
        ending.add_done_callback(lambda _: setattr(server, "should_exit", True))
        try:
            await server.serve(sockets=[sock])
        finally:  # uvicorn raises the signal that has ended it once more
            endpoint.ended.set()
        await started
        await ending

    asyncio.run(run())


async def _after_start(server: uvicorn.Server, on_started: Callable[[], None]) -> None:
    """Call `on_started` when the server answers; it has no event for that."""
    while not (server.started or server.should_exit):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    on_started()
