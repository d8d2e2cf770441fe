"""The control plane's end of the agents' channels: WebSockets with the messages of ACS.

ACS, the agent communication service, sends payloads of tasks and heartbeats, and the agent
acknowledges both; what becomes of tasks comes by the API (SubmitTaskStateChange).
"""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from testbed.programs import websocket
from testbed.programs.ecs.cluster import State
from testbed.programs.ecs.state import Row, Task
from testbed.programs.metadata import Request
from testbed.programs.services import TcpClient

HEARTBEAT_S = 20.0  # AWS documents none (docs/fidelity.md)
SILENT_S = 60.0  # after as long without an acknowledgement an agent counts as disconnected


class Agents:
    """The channels of agents that are connected, by container instance."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._channels: dict[str, TcpClient] = {}
        self._beat = 0.0

    def opens(self, connection: TcpClient) -> bool:
        """Whether a request opens a channel; it then is one."""
        head, end, rest = connection.inbox.partition(b"\r\n\r\n")
        if not end or not head.startswith(b"GET /ws"):
            return False
        request = Request(head)
        query = parse_qs(urlsplit(head.split(b" ", 2)[1].decode("latin-1")).query)
        arn = query.get("containerInstanceArn", [""])[0]
        instance = self._state.instances.get(arn)
        key = request.headers.get("sec-websocket-key")
        if instance is None or not key:
            connection.outbox, connection.closing = b"HTTP/1.1 400 Bad Request\r\n\r\n", True
            return True
        if (former := self._channels.get(arn)) is not None:
            former.end()
        connection.inbox = rest
        connection.outbox = websocket.accepted(key)
        self._channels[arn] = connection
        instance.connected, instance.heard = True, time.time()
        for task in self._state.tasks.values():
            task.sent = task.sent and task.instance != arn
        connection.handle = lambda connection: self._heard(arn, connection)
        connection.on_close = lambda: self._lost(arn, connection)
        return True

    def _heard(self, arn: str, connection: TcpClient) -> None:
        """Take what an agent says: acknowledgements, each of which shows that it lives."""
        _, connection.inbox = websocket.messages(connection.inbox)
        if (instance := self._state.instances.get(arn)) is not None:
            instance.heard = time.time()

    def _lost(self, arn: str, connection: TcpClient) -> None:
        if self._channels.get(arn) is connection:
            del self._channels[arn]
            if (instance := self._state.instances.get(arn)) is not None:
                instance.connected = False

    def run(self) -> float:
        """Send tasks and heartbeats, give up who is silent; after how long to be called again."""
        now = time.time()
        for arn, connection in list(self._channels.items()):
            instance = self._state.instances.get(arn)
            if instance is None or now - instance.heard > SILENT_S:
                self._lost(arn, connection)
                connection.end()
        for task in self._state.tasks.values():
            if task.active and not task.sent and task.instance in self._channels:
                self._send(task.instance, "PayloadMessage", {"tasks": [_payload(task)]})
                task.sent = True
        if now - self._beat >= HEARTBEAT_S and self._channels:
            self._beat = now
            for arn in list(self._channels):
                self._send(arn, "HeartbeatMessage", {"healthy": True})
        return max(0.1, self._beat + HEARTBEAT_S - now)

    @property
    def any(self) -> bool:
        """Whether an agent is connected."""
        return bool(self._channels)

    def _send(self, arn: str, kind: str, message: dict[str, Any]) -> None:
        text = json.dumps({"type": kind, "message": {"messageId": f"{time.time()}", **message}})
        connection = self._channels[arn]
        connection.outbox += websocket.frame(text, masked=False)
        connection.flush()


def _payload(task: Task) -> Row:
    """Return a task as a payload has it."""
    return {
        "arn": task.arn,
        "desiredStatus": task.desired_status,
        "family": task.definition["family"],
        "version": str(task.definition["revision"]),
        "networkMode": task.definition.get("networkMode", "bridge"),
        "memory": int(task.definition.get("memory") or 0),
        "containers": _overridden(task),
    }


def _overridden(task: Task) -> list[Row]:
    """Return its containers, with what RunTask overrides of them."""
    given = {row.get("name"): row for row in task.overrides.get("containerOverrides", ())}
    found = []
    for container in task.definition["containerDefinitions"]:
        more = given.get(container["name"], {})
        environment = [*container.get("environment", ()), *more.get("environment", ())]
        changed = {key: more[key] for key in ("command", "cpu", "memory") if key in more}
        found.append({**container, **changed, "environment": environment})
    return found
