"""What is declared of ECS, and what there is of it: instances and tasks; where tasks are placed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from testbed.programs.ecs import placement
from testbed.programs.ecs.state import Instance, Row, Task, new_id

EVENTS = 100  # that a service keeps (AWS: DescribeServices)
KEPT_S = 3600.0  # a stopped task is shown for an hour (AWS: task lifecycle)


class State:
    """The declared rows, in the API's shapes, and the instances and tasks, by ARN."""

    def __init__(self, declared: Row) -> None:
        self.declared = declared
        self.instances: dict[str, Instance] = {}
        self.tasks: dict[str, Task] = {}
        self.events: dict[str, list[Row]] = {}  # of services, by ARN, the latest first

    def clusters(self) -> dict[str, Row]:
        """Return the declared clusters, by name."""
        return {row["clusterName"]: row for row in self.declared.get("clusters", ())}

    def definitions(self) -> dict[str, Row]:
        """Return the declared task definitions, by FAMILY:REVISION."""
        rows = self.declared.get("taskDefinitions", ())
        return {f"{row['family']}:{row['revision']}": row for row in rows}

    def services(self, cluster: str) -> list[Row]:
        """Return a cluster's declared services; `cluster` is its ARN."""
        rows: list[Row] = self.declared.get("services", [])
        return [row for row in rows if row["clusterArn"] == cluster]

    def definition(self, given: str) -> Row | None:
        """Return the task definition that an ARN, FAMILY or FAMILY:REVISION is."""
        name = given.rpartition("/")[2]
        known = self.definitions()
        if ":" in name:
            return known.get(name)
        of_family = [row for row in known.values() if row["family"] == name]
        return max(of_family, key=lambda row: int(row["revision"]), default=None)

    def instances_of(self, cluster: str) -> list[Instance]:
        """Return a cluster's container instances, by name."""
        found = [each for each in self.instances.values() if each.cluster == cluster]
        return sorted(found, key=lambda each: each.name)

    def tasks_of(self, cluster: str, service: str | None = None) -> list[Task]:
        """Return a cluster's tasks, or those of one of its services, the oldest first."""
        return [
            task
            for task in self.tasks.values()
            if task.cluster == cluster and (service is None or task.service == service)
        ]

    def candidates(self, cluster: str, group: str) -> list[placement.Candidate]:
        """Return a cluster's container instances with what is left of each."""
        tasks = self.tasks_of(cluster)
        return [placement.candidate(each, tasks, group) for each in self.instances_of(cluster)]

    def place(self, cluster: str, definition: Row, group: str, **given: Any) -> Task:
        """Place a new task; NoPlaceError where it can't be."""
        rules = (given.pop("constraints", ()), given.pop("strategy", ()))
        found = placement.place(definition, self.candidates(cluster, group), *rules)
        return self.add(found.instance, definition, group, **given)

    def add(self, instance: Instance, definition: Row, group: str, **given: Any) -> Task:
        """Add a new task on an instance."""
        name, id_ = instance.cluster.rpartition("/")[2], new_id()
        arn = instance.arn.partition(":container-instance")[0] + f":task/{name}/{id_}"
        containers = [
            {
                "containerArn": f"{arn.replace(':task/', ':container/')}/{new_id()}",
                "name": container["name"],
                "image": container["image"],
                "networkBindings": [],
                "networkInterfaces": [],
            }
            for container in definition["containerDefinitions"]
        ]
        task = Task(
            arn,
            instance.cluster,
            definition,
            instance.arn,
            group,
            given.pop("started_by", ""),
            containers,
            **given,
        )
        self.tasks[arn] = task
        return task

    def stop(self, task: Task, code: str, reason: str) -> None:
        """Have a task stopped, by its agent; at once where there is no agent to do it."""
        if task.desired_status == "STOPPED":
            return
        task.desired_status, task.stop_code, task.stopped_reason = "STOPPED", code, reason
        task.stopping, task.sent = time.time(), False
        if task.instance not in self.instances:
            self.stopped(task)

    def stopped(self, task: Task) -> None:
        """Note that a task has ended."""
        task.last_status = task.desired_status = "STOPPED"
        task.stopped = time.time()
        for container in task.containers:
            container.setdefault("lastStatus", "STOPPED")

    def forget(self) -> None:
        """Forget tasks that have been stopped for long."""
        for arn, task in list(self.tasks.items()):
            if not task.active and task.stopped < time.time() - KEPT_S:
                del self.tasks[arn]

    def note(self, service: Row, text: str) -> None:
        """Note an event of a service, once."""
        events = self.events.setdefault(service["serviceArn"], [])
        message = f"(service {service['serviceName']}) {text}"
        start = message.partition(" Reason:")[0]
        if events and events[0]["message"].startswith(start):
            events[0]["message"] = message
            return
        events.insert(0, {"id": new_id(), "createdAt": time.time(), "message": message})
        del events[EVENTS:]

    def agents(self) -> Iterator[Instance]:
        """Find the container instances whose agents are connected."""
        return (each for each in self.instances.values() if each.connected)
