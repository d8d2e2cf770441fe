"""The service scheduler: as many tasks as are desired, of the right definition (AWS: services)."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from testbed.programs.ecs import placement
from testbed.programs.ecs.cluster import State
from testbed.programs.ecs.state import Row, Task

FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 900.0  # between tasks that fail to start; 15 min (AWS)
STEADY = "has reached a steady state."
SCHEDULER = "ServiceSchedulerInitiated"


class Scheduler:
    """What services want, brought about step by step."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._failures: dict[str, int] = {}
        self._next: dict[str, float] = {}
        self._failed: set[str] = set()

    def run(self) -> float | None:
        """Start and stop tasks; after how many seconds it has to be called again, if ever."""
        self._state.forget()
        self._drop()
        waits = [
            wait
            for cluster in self._state.clusters().values()
            for service in self._state.services(cluster["clusterArn"])
            if (wait := self._service(service)) is not None
        ]
        return min(waits, default=None)

    def _drop(self) -> None:
        """Stop the tasks of services that are not declared any more."""
        arns = {row["serviceArn"] for row in self._state.declared.get("services", ())}
        for task in self._state.tasks.values():
            if task.service and task.service not in arns and task.wanted:
                self._stop(task, "the service was deleted")

    def _stop(self, task: Task, why: str = "") -> None:
        deployment = f"ecs-svc/{task.service.rpartition('/')[2]}"
        reason = f"Scaling activity initiated by (deployment {deployment})"
        self._state.stop(task, SCHEDULER, reason if not why else f"Task stopped: {why}")

    def _service(self, service: Row) -> float | None:
        arn = service["serviceArn"]
        definition = self._state.definition(service["taskDefinition"])
        if definition is None:
            return None
        tasks = self._state.tasks_of(service["clusterArn"], arn)
        self._count_failures(arn, tasks)
        if service["schedulingStrategy"] == "DAEMON":
            changed = self._daemon(service, definition, tasks)
        else:
            changed = self._replicas(service, definition, tasks)
        running = [task for task in tasks if task.wanted and task.last_status == "RUNNING"]
        wanted = self.desired(service)
        if not changed and len(running) == wanted == sum(task.active for task in tasks):
            self._state.note(service, STEADY)
        return self._wait(arn)

    def desired(self, service: Row) -> int:
        """Return how many tasks a service is to have."""
        if service["schedulingStrategy"] == "DAEMON":
            instances = self._state.instances_of(service["clusterArn"])
            return sum(each.status == "ACTIVE" for each in instances)
        return int(service["desiredCount"])

    def _count_failures(self, arn: str, tasks: Sequence[Task]) -> None:
        for task in tasks:
            if task.started and task.last_status == "RUNNING":
                self._failures.pop(arn, None)
            elif task.stop_code == "TaskFailedToStart" and task.arn not in self._failed:
                self._failed.add(task.arn)
                count = self._failures[arn] = self._failures.get(arn, 0) + 1
                delay = min(FIRST_DELAY_S * 2 ** (count - 1), LONGEST_DELAY_S)
                self._next[arn] = time.time() + delay

    def _wait(self, arn: str) -> float | None:
        left = self._next.get(arn, 0.0) - time.time()
        return left if left > 0 else None

    def _kinds(self, definition: Row, tasks: Sequence[Task]) -> tuple[list[Task], list[Task]]:
        """Return the tasks that may stay, and those that have to be replaced."""
        new: list[Task] = []
        old: list[Task] = []
        for task in tasks:
            if not task.wanted:
                continue
            instance = self._state.instances.get(task.instance)
            draining = instance is not None and instance.status == "DRAINING"
            stays = task.definition_arn == definition["taskDefinitionArn"] and not draining
            (new if stays else old).append(task)
        return new, old

    def _replicas(self, service: Row, definition: Row, tasks: Sequence[Task]) -> bool:
        desired = int(service["desiredCount"])
        configuration = service["deploymentConfiguration"]
        most = math.floor(desired * configuration["maximumPercent"] / 100)
        least = math.ceil(desired * configuration["minimumHealthyPercent"] / 100)
        new, old = self._kinds(definition, tasks)
        changed = self._remove(new, old, least, desired)
        room = max(most, desired if not old else most) - sum(task.wanted for task in tasks)
        missing = min(desired - sum(task.wanted for task in new), room)
        for _ in range(missing):
            if not self._start(service, definition):
                break
            changed = True
        return changed

    def _remove(self, new: list[Task], old: list[Task], least: int, desired: int) -> bool:
        """Stop what is too much, and old tasks as far as enough are left that run."""
        stopped = False
        for task in sorted(new, key=self._worth)[: max(0, len(new) - desired)]:
            self._stop(task)
            stopped = True
        healthy = sum(t.last_status == "RUNNING" and t.wanted for t in (*new, *old))
        for task in sorted(old, key=self._worth):
            runs = task.last_status == "RUNNING"
            if runs and healthy <= least:
                continue
            self._stop(task)
            healthy -= runs
            stopped = True
        return stopped

    def _worth(self, task: Task) -> tuple[bool, int, float]:
        """Order tasks: first those that don't run, then those where there are most, the newest."""
        here = sum(t.instance == task.instance and t.wanted for t in self._state.tasks.values())
        return task.last_status == "RUNNING", -here, -task.created

    def _start(self, service: Row, definition: Row, instance: str = "") -> bool:
        if self._wait(service["serviceArn"]) is not None:
            return False
        group = f"service:{service['serviceName']}"
        given = {"service": service["serviceArn"], "started_by": f"ecs-svc/{service['id']}"}
        state, cluster = self._state, service["clusterArn"]
        try:
            constraints = service.get("placementConstraints", ())
            strategy = service.get("placementStrategy", ())
            candidates = [
                each
                for each in state.candidates(cluster, group)
                if instance in ("", each.instance.arn)
            ]
            found = placement.place(definition, candidates, constraints, strategy)
        except placement.NoPlaceError as error:
            lead = "was unable to place a task because no container instance met all of its"
            state.note(service, f"{lead} requirements. Reason: {error.reason}")
            return False
        task = state.add(found.instance, definition, group, **given)
        state.note(service, f"has started 1 tasks: (task {task.id}).")
        return True

    def _daemon(self, service: Row, definition: Row, tasks: Sequence[Task]) -> bool:
        new, old = self._kinds(definition, tasks)
        changed = bool(old)
        for task in old:
            self._stop(task)
        have = {task.instance for task in tasks if task.active}
        for each in self._state.instances_of(service["clusterArn"]):
            if each.status == "ACTIVE" and each.connected and each.arn not in have:
                changed = self._start(service, definition, each.arn) or changed
        for task in new:
            if task.instance not in self._state.instances:
                self._stop(task)
        return changed
