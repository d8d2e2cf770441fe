"""AWS's endpoint inside a testbed: requests that its Region's node takes, answered here.

The node runs `testbed.programs.front` for as long as the API is served. Requests and answers go
through the testbed's control socket, so that nothing in the testbed has a way to this machine.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from testbed.api.certificates import Authority
from testbed.api.codec.requests import Request
from testbed.api.endpoint import Endpoint
from testbed.control.client import Client
from testbed.control.process import RemoteProcess
from testbed.errors import TestbedError
from testbed.lower import names
from testbed.lower.public_names import AWS
from testbed.plan.model import NODE_DIRECTORY
from testbed.topology.model import Topology

SERVICE = "api"
AT_ONCE = 32  # requests
NODE = names.public_service(SERVICE)


class Inside:
    """Serves an endpoint inside the testbed too, where its topology has the Region's endpoints."""

    def __init__(self, client: Client, endpoint: Endpoint, authority: Authority) -> None:
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(AT_ONCE, "inside")
        self._process: RemoteProcess | None = None
        topology = endpoint.world().topology
        plane = topology.workloads.control_planes.get(SERVICE)
        if plane is None:
            return
        certificate, key = authority.issue(host_names(topology))
        about = {
            "address": str(plane.address),
            "certificate": certificate.decode(),
            "key": key.decode(),
            "authority": authority.file.read_text(),
            "directory": f"{NODE_DIRECTORY}/{NODE}",
        }
        self._process = client.popen(NODE, ["testbed-front"])
        self._write(about)
        lines = _lines(self._process)
        next(lines)  # it listens
        threading.Thread(target=self._serve, args=(lines,), daemon=True).start()

    def close(self) -> None:
        """End the program in the node."""
        if self._process is not None:
            with contextlib.suppress(TestbedError, OSError):
                self._process.close_stdin()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _serve(self, lines: Iterator[dict[str, Any]]) -> None:
        with contextlib.suppress(TestbedError, OSError):
            for message in lines:
                self._workers.submit(self._answer, message)

    def _answer(self, message: dict[str, Any]) -> None:
        body = base64.b64decode(message["body"])
        made = self._endpoint.handle(
            Request(message["method"], message["path"], message["query"], message["headers"], body)
        )
        answer = {"id": message["id"], "status": made.status, "headers": dict(made.headers)}
        with contextlib.suppress(TestbedError, OSError):
            self._write(answer | {"body": base64.b64encode(made.body).decode()})

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process is not None
        with self._lock:
            self._process.write(json.dumps(message).encode() + b"\n")


def host_names(topology: Topology) -> list[str]:
    """Return the names of the Region's endpoints that the API answers for."""
    plane = topology.workloads.control_planes[SERVICE]
    return [f"{host}.{topology.region.name}.{AWS}" for host in plane.hosts]


def _lines(process: RemoteProcess) -> Iterator[dict[str, Any]]:
    """Read the messages that a program writes, one in a line."""
    text = b""
    while process.returncode is None and (frame := process.connection.receive(None)) is not None:
        text += process.take(*frame)  # not `chunks`, which would let virtual time pass
        *whole, text = text.split(b"\n")
        for line in whole:
            yield json.loads(line)
