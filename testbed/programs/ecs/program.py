"""`testbed-ecs NODE DIRECTORY`: the control plane of ECS. DIRECTORY has its file and its socket."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from testbed.programs.ecs import registering
from testbed.programs.ecs.agents import Agents
from testbed.programs.ecs.cluster import State
from testbed.programs.ecs.operations import Operations
from testbed.programs.ecs.registering import Registering
from testbed.programs.ecs.scheduling import Scheduler
from testbed.programs.ecs.state import Instance, Task
from testbed.programs.inquiries import RELOAD, Inquiries
from testbed.programs.json_service import RefusedError, handle
from testbed.programs.services import Server, TcpClient

FILE, SOCKET, KEPT, PORT = "ecs.json", "ecs.ctl", "ecs.state", 443


class ControlPlane:
    """What is declared, and what has become of it; the latter outlives the program."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self.state = State(self._declared())
        self._restore()
        self.agents = Agents(self.state)
        self.scheduler = Scheduler(self.state)
        self._operations = Operations(self.state)
        self._registering = Registering(self.state)
        self._kept = ""

    def _declared(self) -> dict[str, Any]:
        with open(f"{self._directory}/{FILE}", encoding="utf-8") as file:  # noqa: PTH123
            declared: dict[str, Any] = json.load(file)
        return declared

    def _restore(self) -> None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            with open(f"{self._directory}/{KEPT}", encoding="utf-8") as file:  # noqa: PTH123
                kept = json.load(file)
            for row in kept["instances"]:
                instance = Instance(**{**row, "connected": False})
                self.state.instances[instance.arn] = instance
            for row in kept["tasks"]:
                task = Task(**{**row, "sent": False})
                self.state.tasks[task.arn] = task

    def keep(self) -> None:
        """Write what there is, where it has changed."""
        instances = [vars(each) for each in self.state.instances.values()]
        tasks = [task.kept() for task in self.state.tasks.values()]
        text = json.dumps({"instances": instances, "tasks": tasks})
        if text != self._kept:
            path = f"{self._directory}/{KEPT}"
            with open(f"{path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
                file.write(text)
            os.replace(f"{path}.new", path)  # noqa: PTH105
            self._kept = text

    def read(self) -> None:
        """Read the declared state anew; what has gone with its instance is forgotten."""
        self.state.declared = self._declared()
        known = {
            (row["clusterArn"], row["name"])
            for row in self.state.declared.get("containerInstances", ())
        }
        for arn, instance in list(self.state.instances.items()):
            if (instance.cluster, instance.name) not in known:
                del self.state.instances[arn]
                for task in self.state.tasks.values():
                    if task.instance == arn and task.active:
                        self.state.stop(task, "", "Host EC2 (instance) terminated.")

    def operate(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Carry out an operation of the API. Raises RefusedError as AWS refuses."""
        if operation in registering.OPERATIONS:
            return self._registering.run(operation, parameters)
        return self._operations.run(operation, parameters)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer the keeper: a reload, or an operation that has come by AWS's endpoint."""
        if request["op"] == RELOAD:
            self.read()
            return {}
        try:
            return {"result": self.operate(request["operation"], request.get("parameters") or {})}
        except RefusedError as error:
            return {"refused": error.to_json()}

    def heard(self, connection: TcpClient) -> None:
        """Take what a client has sent: an agent that opens its channel, or a call."""
        if not self.agents.opens(connection):
            handle(connection, self.operate)

    def turn(self) -> float | None:
        """Do what follows from what has happened; after how long to be called again, if ever."""
        waits = [self.scheduler.run()]
        later = self.agents.run()
        if self.agents.any:
            waits.append(later)
        self.keep()
        return min((wait for wait in waits if wait is not None), default=None)


def main(argv: list[str]) -> None:
    """Serve until killed."""
    node, directory = argv
    server = Server(node)
    plane = ControlPlane(directory)
    server.listen(PORT, plane.heard)
    Inquiries(f"{directory}/{SOCKET}", server.selector, plane.answer)
    wait = plane.turn()
    while True:
        for key, events in server.selector.select(wait):
            with contextlib.suppress(OSError):
                key.data(events)
        wait = plane.turn()
