"""What the agent does with the tasks that ECS sends it."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testbed.programs.ecs_agent import network
from testbed.programs.ecs_agent.channel import Channel, Submitter
from testbed.programs.ecs_agent.runtime import LONGEST
from testbed.programs.ecs_agent.task import Container, Row, Task

VERSION = "1.89.0"
CONFIG, TASKS, IMAGES = "ecs-agent.json", "ecs-tasks", "ecs-images"
LOOK_S = 0.05  # how often it looks whether crun has started a container
PULLS = {"default": "refresh", "always": "always", "once": "missing", "prefer-cached": "missing"}
KILLED = 137


class Agent:
    """The agent of one instance. Everything happens in its thread, event by event."""

    def __init__(self, node: str, directory: Path, runtime: socket.socket) -> None:
        self._node = node
        self._directory = directory
        self._runtime = runtime
        self._events: queue.SimpleQueue[Row] = queue.SimpleQueue()
        self._tasks: dict[str, Task] = {}
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._done: dict[str, Callable[[str], None]] = {}
        self._addresses = network.Addresses()
        (directory / TASKS).mkdir(exist_ok=True)
        threading.Thread(target=self._hear_runtime, name="runtime", daemon=True).start()
        host = str(self._config()["host"])
        self._submitter = Submitter(host)
        self._bury()
        self._command(network.begin(), lambda error: error and self._say(error))
        self._channel = Channel(host, self._registration, self._events.put)

    def _config(self) -> Row:
        config: Row = json.loads((self._directory / CONFIG).read_text())
        return config

    def _registration(self) -> Row:
        """Return what it registers with, as its configuration is now."""
        config = self._config()
        return {
            "cluster": config["cluster"],
            "name": self._node,
            "ec2InstanceId": config["ec2InstanceId"],
            "versionInfo": {"agentVersion": VERSION},
            "totalResources": [
                {"name": "CPU", "type": "INTEGER", "integerValue": config["cpu"]},
                {"name": "MEMORY", "type": "INTEGER", "integerValue": config["memory"]},
            ],
            "attributes": [{"name": k, "value": v} for k, v in config["attributes"].items()],
        }

    def _bury(self) -> None:
        """Tell of the tasks that have ended with a former agent: its instance was stopped."""
        for file in (self._directory / TASKS).glob("*.json"):
            task = Task(json.loads(file.read_text()), self._directory / TASKS)
            for container in task.containers:
                container.status, container.code = "STOPPED", KILLED
            self._submitter.submit(task.change("STOPPED"))
            file.unlink()

    @staticmethod
    def _say(text: str) -> None:
        print(f"{time.time():.3f} {text}", flush=True)  # noqa: T201 - the program's log

    def _hear_runtime(self) -> None:
        while message := self._runtime.recv(LONGEST):
            self._events.put(json.loads(message))
        os._exit(1)  # without it there is nothing that could be done

    def run(self) -> None:
        """Work until killed."""
        while True:
            now = time.monotonic()
            due = [entry for entry in self._timers if entry[0] <= now]
            self._timers = [entry for entry in self._timers if entry[0] > now]
            for _, function in due:
                function()
            starting = any(task.starting for task in self._tasks.values())
            waits = [entry[0] - time.monotonic() for entry in self._timers]
            waits += [LOOK_S] if starting else []
            try:
                event = self._events.get(timeout=max(0.0, min(waits)) if waits else None)
            except queue.Empty:
                event = {}
            self._handle(event)
            for task in list(self._tasks.values()):
                self._look(task)

    def _handle(self, event: Row) -> None:
        if "ended" in event:
            self._ended(event["ended"], event["code"])
        elif "done" in event:
            self._done.pop(event["done"])(event["error"])
        elif event.get("event") == "payload":
            for payload in event["tasks"]:
                self._wanted(payload)
        elif "event" in event:
            self._say(f"{event['event']} {event.get('text', event.get('arn', ''))}")

    def _wanted(self, payload: Row) -> None:
        """Start a task, or stop it."""
        task = self._tasks.get(str(payload["arn"]))
        if payload["desiredStatus"] == "STOPPED":
            if task is None:
                self._submitter.submit({"task": payload["arn"], "status": "STOPPED"})
            else:
                self._stop(task)
        elif task is None:
            self._start(payload)

    def _start(self, payload: Row) -> None:
        task = Task(payload, self._directory / TASKS)
        self._tasks[task.arn] = task
        (self._directory / TASKS / f"{task.id}.json").write_text(json.dumps(payload))
        self._say(f"starts task {task.id}")
        try:
            for container in task.containers:
                mappings = container.definition.get("portMappings", ())
                container.bindings = self._addresses.bind(task.arn, mappings)
        except OSError as error:
            self._fail(task, f"CannotStartContainerError: {error}")
            return
        if task.mode != "bridge":
            self._run_containers(task)
            return
        commands = network.join(task.id, self._addresses.take(task.arn), task.bindings)

        def joined(error: str) -> None:
            if error:
                self._fail(task, f"CannotStartContainerError: {error}")
            elif not task.stopping:
                self._run_containers(task)

        self._command(commands, joined)

    def _fail(self, task: Task, reason: str) -> None:
        task.reason, task.stopping = reason, True
        for container in task.containers:
            if container.status == "PENDING":
                container.status = "STOPPED"

    def _run_containers(self, task: Task) -> None:
        for container in task.containers:
            self._run(task, container)

    def _run(self, task: Task, container: Container) -> None:
        container.directory.mkdir(exist_ok=True)
        container.pid_file.unlink(missing_ok=True)
        container.failure.unlink(missing_ok=True)
        container.status, container.began = "CREATED", time.monotonic()
        container.code = None
        request = {
            "run": f"{task.arn} {container.name}",
            "log": str(self._directory / f"{container.name}-{task.id[:8]}.log"),
            "failure": str(container.failure),
            "task": self._bundle(task, container),
        }
        self._runtime.send(json.dumps(request).encode())

    def _bundle(self, task: Task, container: Container) -> Row:
        """Return what `testbed-container` makes a container of."""
        definition = container.definition
        pull = PULLS[self._config()["image_pull_behavior"]]
        own = f"/run/netns/{task.id}"
        return {
            "id": f"{self._node}.{task.id[:12]}.{container.name}",
            "name": container.name,
            "hostname": self._node if task.mode == "host" else task.id[:12],
            "directory": str(container.directory),
            "argv": definition.get("command") or [],
            "env": {e["name"]: e["value"] for e in definition.get("environment", ())}
            | {"AWS_EXECUTION_ENV": "AWS_ECS_EC2"},
            "resolv_conf": "/etc/resolv.conf",
            "groups": bool(os.environ.get("TESTBED_GUEST")),
            "images": {"store": str(self._directory / IMAGES), "pull": pull},
            "container": {
                "image": definition["image"],
                "user": definition.get("user", ""),
                "directory": definition.get("workingDirectory", ""),
                "mounts": [],
                "network": {"host": "node", "none": "none"}.get(task.mode, own),
                "limits": {
                    "memory_mib": definition.get("memory") or task.memory,
                    "processors": 0,
                    "processes": 0,
                    "open_files": 0,
                },
                "read_only": bool(definition.get("readonlyRootFilesystem")),
                "capabilities": [],
            },
        }

    def _look(self, task: Task) -> None:
        """Note what has started, and tell ECS when a task has, or has ended."""
        for container in task.starting:
            if container.pid_file.exists():
                container.status = "RUNNING"
        states = {container.status for container in task.containers}
        if states == {"RUNNING"} and not task.told:
            self._tell(task, "RUNNING")
        elif states == {"STOPPED"}:
            self._tell(task, "STOPPED")
            del self._tasks[task.arn]
            (self._directory / TASKS / f"{task.id}.json").unlink(missing_ok=True)
            commands = network.leave(task.id, task.bindings) if task.mode == "bridge" else []
            self._addresses.free(task.arn)
            self._command(commands, lambda _: None)

    def _tell(self, task: Task, status: str) -> None:
        task.told = status
        self._say(f"task {task.id} {status} {task.reason}")
        self._submitter.submit(task.change(status))

    def _ended(self, key: str, code: int) -> None:
        arn, name = key.split(" ", 1)
        task = self._tasks[arn]
        container = next(each for each in task.containers if each.name == name)
        container.status, container.code = "STOPPED", code
        if container.failure.exists():
            container.reason, container.code = container.failure.read_text(), None
            task.reason = task.reason or container.reason
        elif not task.stopping and container.restarts():
            self._run(task, container)
            return
        if container.definition.get("essential", True):
            self._stop(task)

    def _stop(self, task: Task) -> None:
        """Stop a task: SIGTERM to its containers, SIGKILL to those that don't end in time."""
        if not task.stopping:
            task.stopping = True
            for container in task.containers:
                if container.status == "PENDING":
                    container.status = "STOPPED"
            for container in task.alive:
                self._signal(container, signal.SIGTERM)
                self._later(
                    float(container.definition.get("stopTimeout", 30)),
                    lambda container=container: self._signal(container, signal.SIGKILL),  # type: ignore[misc]
                )

    def _signal(self, container: Container, number: int) -> None:
        if container.status in ("CREATED", "RUNNING"):
            request = {"signal": int(number), "pid_file": str(container.pid_file)}
            self._runtime.send(json.dumps(request).encode())

    def _later(self, seconds: float, function: Callable[[], None]) -> None:
        self._timers.append((time.monotonic() + seconds, function))

    def _command(self, commands: list[Row], then: Callable[[str], Any]) -> None:
        """Have commands run, in order; `then` is called with what went wrong, or nothing."""
        key = f"{len(self._done)}.{time.monotonic()}"
        self._done[key] = then
        self._runtime.send(json.dumps({"commands": commands, "key": key}).encode())
