"""The agent's end of its channel to ECS, and what it tells ECS: two threads of their own."""

from __future__ import annotations

import http.client
import json
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from testbed.programs import websocket

PORT = 443
TARGET = "AmazonEC2ContainerServiceV20141113"
TIMEOUT_S = 5.0  # of a call
SILENT_S = 90.0  # the agent gives a channel up after one to two minutes (amazon-ecs-agent)
FIRST_WAIT_S, LONGEST_WAIT_S, FACTOR = 0.25, 120.0, 1.5  # between attempts (amazon-ecs-agent)
LONGEST_SUBMIT_WAIT_S = 30.0
Row = dict[str, Any]


class CallError(Exception):
    """A call that ECS has refused."""


def call(host: str, operation: str, **parameters: Any) -> Row:
    """Call an operation of ECS. Raises OSError where there is no answer, CallError if refused."""
    connection = http.client.HTTPConnection(host, PORT, timeout=TIMEOUT_S)
    try:
        headers = {
            "X-Amz-Target": f"{TARGET}.{operation}",
            "Content-Type": "application/x-amz-json-1.1",
        }
        connection.request("POST", "/", json.dumps(parameters), headers)
        response = connection.getresponse()
        said: Row = json.loads(response.read())
    except (http.client.HTTPException, ValueError) as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()
    if response.status != 200:
        raise CallError(f"{said.get('__type')}: {said.get('message')}")
    return said


class Channel:
    """Registers, and hears what ECS sends; `tell` is called with each event, from its thread."""

    def __init__(self, host: str, registration: Callable[[], Row], tell: Callable[[Row], None]):
        self._host = host
        self._registration = registration
        self._tell = tell
        self._trouble = ""
        threading.Thread(target=self._run, name="channel", daemon=True).start()

    def _run(self) -> None:
        wait = FIRST_WAIT_S
        while True:
            try:
                self._connected()
                wait = FIRST_WAIT_S
            except (OSError, CallError) as error:
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    self._tell({"event": "trouble", "text": str(error)})
            time.sleep(wait)
            wait = min(wait * FACTOR, LONGEST_WAIT_S)

    def _connected(self) -> None:
        """Have a channel until it breaks, which is no error once it was there."""
        said = call(self._host, "RegisterContainerInstance", **self._registration())
        arn = said["containerInstance"]["containerInstanceArn"]
        found = call(self._host, "DiscoverPollEndpoint", containerInstance=arn)
        place = urlsplit(found["endpoint"])
        host, port = str(place.hostname), place.port or PORT
        with socket.create_connection((host, port), TIMEOUT_S) as sock:
            path = f"/ws?containerInstanceArn={quote(arn, safe='')}"
            sock.sendall(websocket.request(host, path))
            inbox = b""
            while b"\r\n\r\n" not in inbox:
                inbox += _received(sock)
            head, _, inbox = inbox.partition(b"\r\n\r\n")
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                raise ConnectionError("ECS does not open the channel")
            self._trouble = ""
            self._tell({"event": "connected", "arn": arn})
            sock.settimeout(SILENT_S)
            try:
                self._listen(sock, inbox)
            except OSError as error:
                self._tell({"event": "disconnected", "text": str(error)})

    def _listen(self, sock: socket.socket, inbox: bytes) -> None:
        while True:
            found, inbox = websocket.messages(inbox)
            for text in found:
                message = json.loads(text)
                number = message["message"].get("messageId", "")
                answer = {"type": "AckRequest", "message": {"messageId": number}}
                sock.sendall(websocket.frame(json.dumps(answer), masked=True))
                if message["type"] == "PayloadMessage":
                    self._tell({"event": "payload", "tasks": message["message"]["tasks"]})
            inbox += _received(sock)


def _received(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionResetError("the channel was closed")
    return data


class Submitter:
    """Tells ECS what becomes of tasks, in order, however long ECS can't be reached."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._rows: queue.SimpleQueue[Row] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="submitter", daemon=True).start()

    def submit(self, row: Row) -> None:
        """Tell ECS of a task's change, now or once it can be reached."""
        self._rows.put(row)

    def _run(self) -> None:
        while True:
            row, wait = self._rows.get(), FIRST_WAIT_S
            while True:
                try:
                    call(self._host, "SubmitTaskStateChange", **row)
                    break
                except CallError:
                    break  # it will never want it
                except OSError:
                    time.sleep(wait)
                    wait = min(wait * FACTOR, LONGEST_SUBMIT_WAIT_S)
