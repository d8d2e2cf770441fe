"""A task on its instance: its containers, and what is to become of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]
RESTART_AFTER_S = 300.0  # a container that ended earlier is not restarted (AWS: restart policies)


@dataclass
class Container:
    """A container; `began` is when it was started last, `code` how it ended."""

    definition: Row
    directory: Path
    status: str = "PENDING"
    began: float = 0.0
    code: int | None = None
    reason: str = ""
    bindings: list[Row] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.definition["name"])

    @property
    def pid_file(self) -> Path:
        """Where crun writes its process number, once it runs."""
        return self.directory / "pid"

    @property
    def failure(self) -> Path:
        """Where it is written why it could not be started."""
        return self.directory / "failure"

    def restarts(self) -> bool:
        """Whether it is started again, having ended now."""
        policy = self.definition.get("restartPolicy") or {}
        if not policy.get("enabled") or self.code in policy.get("ignoredExitCodes", ()):
            return False
        lasted = time.monotonic() - self.began
        return lasted >= float(policy.get("restartAttemptPeriod", RESTART_AFTER_S))

    def to_json(self) -> Row:
        """Return it as SubmitTaskStateChange has it."""
        row: Row = {
            "containerName": self.name,
            "status": self.status,
            "networkBindings": self.bindings,
        }
        if self.code is not None:
            row["exitCode"] = self.code
        if self.reason:
            row["reason"] = self.reason
        return row


class Task:
    """A task; `told` is the status that ECS was told last."""

    def __init__(self, payload: Row, directory: Path) -> None:
        self.arn = str(payload["arn"])
        self.id = self.arn.rpartition("/")[2]
        self.mode = str(payload["networkMode"])
        self.memory = int(payload.get("memory") or 0)
        self.containers = [
            Container(row, directory / f"{self.id}.{row['name']}") for row in payload["containers"]
        ]
        self.stopping = False
        self.told = ""
        self.reason = ""

    @property
    def starting(self) -> list[Container]:
        """The containers that have been started, and don't run yet."""
        return [each for each in self.containers if each.status == "CREATED"]

    @property
    def alive(self) -> list[Container]:
        """The containers that have not ended."""
        return [each for each in self.containers if each.status in ("CREATED", "RUNNING")]

    @property
    def bindings(self) -> list[Row]:
        """The bindings of all its containers."""
        return [binding for each in self.containers for binding in each.bindings]

    def change(self, status: str) -> Row:
        """Return what ECS is told of it."""
        row: Row = {"task": self.arn, "status": status}
        if self.reason:
            row["reason"] = self.reason
        return row | {"containers": [each.to_json() for each in self.containers]}
