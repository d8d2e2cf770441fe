"""What the control plane knows: container instances and tasks. Members are the API's."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import asdict, dataclass, field
from typing import Any

Row = dict[str, Any]
FIRST_AGENT = (1, 33, 0)  # older agents can't register on an Outpost (AWS: ECS on Outposts)


@dataclass
class Instance:
    """A container instance. `cpu` in CPU units, `memory` in MiB; `heard` is when its agent was."""

    arn: str
    name: str
    ec2_id: str
    cluster: str
    cpu: int
    memory: int
    attributes: dict[str, str] = field(default_factory=dict)
    status: str = "ACTIVE"
    connected: bool = False
    version: str = ""
    registered: float = 0.0
    heard: float = 0.0


@dataclass
class Task:
    """A task, with its definition as it was when it was placed."""

    arn: str
    cluster: str
    definition: Row
    instance: str  # its container instance's ARN
    group: str
    started_by: str
    containers: list[Row]
    service: str = ""
    last_status: str = "PENDING"
    desired_status: str = "RUNNING"
    stop_code: str = ""
    stopped_reason: str = ""
    created: float = field(default_factory=time.time)
    started: float = 0.0
    stopping: float = 0.0
    stopped: float = 0.0
    overrides: Row = field(default_factory=dict)
    sent: bool = False

    @property
    def id(self) -> str:
        """Its identifier."""
        return self.arn.rpartition("/")[2]

    @property
    def definition_arn(self) -> str:
        """The ARN of its task definition."""
        return str(self.definition["taskDefinitionArn"])

    @property
    def active(self) -> bool:
        """Whether it is there, or on its way."""
        return self.last_status != "STOPPED"

    @property
    def wanted(self) -> bool:
        """Whether it is there, or on its way, and is to stay."""
        return self.active and self.desired_status == "RUNNING"

    def cpu(self) -> int:
        """Return the CPU units that it takes."""
        whole = int(self.definition.get("cpu") or 0)
        return whole or sum(int(c.get("cpu") or 0) for c in self.definition["containerDefinitions"])

    def memory(self) -> int:
        """Return the MiB that it takes."""
        return memory_of(self.definition)

    def ports(self) -> set[tuple[str, int]]:
        """Return the ports of its instance that it takes."""
        return ports_of(self.definition)

    def to_json(self) -> Row:
        """Return it as DescribeTasks has it."""
        row = {
            "taskArn": self.arn,
            "clusterArn": self.cluster,
            "taskDefinitionArn": self.definition_arn,
            "containerInstanceArn": self.instance,
            "group": self.group,
            "startedBy": self.started_by,
            "lastStatus": self.last_status,
            "desiredStatus": self.desired_status,
            "launchType": "EC2",
            "cpu": str(self.cpu()),
            "memory": str(self.memory()),
            "createdAt": self.created,
            "connectivity": "CONNECTED",
            "attachments": [],
            "attributes": [],
            "overrides": {"containerOverrides": [], **self.overrides},
            "version": 1,
            "containers": [
                {"taskArn": self.arn, "lastStatus": self.last_status, **container}
                for container in self.containers
            ],
        }
        later = {
            "startedAt": self.started,
            "stoppingAt": self.stopping,
            "stoppedAt": self.stopped,
            "stopCode": self.stop_code,
            "stoppedReason": self.stopped_reason,
        }
        return row | {key: value for key, value in later.items() if value}

    def kept(self) -> Row:
        """Return it as the state file has it."""
        return asdict(self)


def cpu_of(definition: Row) -> int:
    """Return the CPU units that a task of this definition takes."""
    whole = int(definition.get("cpu") or 0)
    return whole or sum(int(c.get("cpu") or 0) for c in definition["containerDefinitions"])


def memory_of(definition: Row) -> int:
    """Return the MiB that a task of this definition takes: reservations go before limits."""
    if whole := int(definition.get("memory") or 0):
        return whole
    containers = definition["containerDefinitions"]
    return sum(int(c.get("memoryReservation") or c.get("memory") or 0) for c in containers)


def ports_of(definition: Row) -> set[tuple[str, int]]:
    """Return the ports of its instance that a task of this definition takes."""
    return {
        (mapping.get("protocol", "tcp"), mapping["hostPort"])
        for container in definition["containerDefinitions"]
        for mapping in container.get("portMappings", ())
        if mapping.get("hostPort")
    }


def new_id() -> str:
    """Return an identifier for a new task."""
    return os.urandom(16).hex()


def id_for(text: str) -> str:
    """Return an identifier that follows from a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
