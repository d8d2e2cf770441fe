"""Operations of the API: what clients and the testbed's own endpoint ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from testbed.programs.ecs import placement
from testbed.programs.ecs.cluster import State
from testbed.programs.ecs.state import Instance, Row, Task, id_for
from testbed.programs.json_service import RefusedError

MOST_TASKS = 10  # that one RunTask starts (AWS: RunTask)
DEFAULT = "default"
FARGATE = "AWS Fargate is not available on AWS Outposts."


class Operations:
    """The operations on what there is; those on what is declared are the endpoint's."""

    def __init__(self, state: State) -> None:
        self._state = state

    def run(self, operation: str, given: Row) -> Row:
        """Carry out an operation. Raises RefusedError as AWS refuses."""
        function = OPERATIONS.get(operation)
        if function is None:
            message = f"{operation} is only possible at the testbed's own endpoint of AWS's API."
            raise RefusedError("UnsupportedOperationException", message)
        return function(self, given)

    def cluster(self, given: Row) -> str:
        """Return the ARN of the cluster that a call names."""
        name = str(given.get("cluster") or DEFAULT).rpartition("/")[2]
        row = self._state.clusters().get(name)
        if row is None:
            raise RefusedError("ClusterNotFoundException", "Cluster not found.")
        return str(row["clusterArn"])

    # Clusters

    def list_clusters(self, _: Row) -> Row:
        """List the clusters."""
        return {"clusterArns": [row["clusterArn"] for row in self._state.clusters().values()]}

    def describe_clusters(self, given: Row) -> Row:
        """Describe clusters."""
        known = self._state.clusters()
        found, failures = [], []
        for wanted in given.get("clusters") or [DEFAULT]:
            name = str(wanted).rpartition("/")[2]
            if name in known:
                found.append(self._cluster(known[name]))
            else:
                failures.append(_missing(wanted))
        return {"clusters": found, "failures": failures}

    def _cluster(self, row: Row) -> Row:
        tasks = self._state.tasks_of(row["clusterArn"])
        running = sum(task.last_status == "RUNNING" for task in tasks)
        return row | {
            "status": "ACTIVE",
            "registeredContainerInstancesCount": len(self._state.instances_of(row["clusterArn"])),
            "runningTasksCount": running,
            "pendingTasksCount": sum(task.active for task in tasks) - running,
            "activeServicesCount": len(self._state.services(row["clusterArn"])),
        }

    # Container instances

    def list_container_instances(self, given: Row) -> Row:
        """List a cluster's container instances."""
        found = self._state.instances_of(self.cluster(given))
        status = given.get("status")
        return {"containerInstanceArns": [i.arn for i in found if status in (None, i.status)]}

    def describe_container_instances(self, given: Row) -> Row:
        """Describe container instances."""
        cluster = self.cluster(given)
        known = {each.arn.rpartition("/")[2]: each for each in self._state.instances_of(cluster)}
        found, failures = [], []
        for wanted in given.get("containerInstances", ()):
            instance = known.get(str(wanted).rpartition("/")[2])
            if instance is None:
                failures.append(_missing(wanted))
            else:
                found.append(self._instance(instance))
        return {"containerInstances": found, "failures": failures}

    def _instance(self, instance: Instance) -> Row:
        tasks = [t for t in self._state.tasks.values() if t.instance == instance.arn and t.active]
        left = placement.candidate(instance, tasks, "")
        running = sum(task.last_status == "RUNNING" for task in tasks)
        ports = [str(port) for _, port in sorted(left.ports)]
        return {
            "containerInstanceArn": instance.arn,
            "ec2InstanceId": instance.ec2_id,
            "status": instance.status,
            "agentConnected": instance.connected,
            "versionInfo": {"agentVersion": instance.version},
            "registeredAt": instance.registered,
            "runningTasksCount": running,
            "pendingTasksCount": len(tasks) - running,
            "registeredResources": _resources(instance.cpu, instance.memory, ["22", "51678"]),
            "remainingResources": _resources(left.cpu, left.memory, ["22", "51678", *ports]),
            "attributes": [{"name": k, "value": v} for k, v in instance.attributes.items()],
            "version": 1,
            "attachments": [],
        }

    def update_container_instances_state(self, given: Row) -> Row:
        """Have container instances drained, or active again."""
        status = str(given.get("status"))
        if status not in ("ACTIVE", "DRAINING"):
            message = "Container instance status should be one of [ACTIVE,DRAINING]"
            raise RefusedError("InvalidParameterException", message)
        described = self.describe_container_instances(given)
        for row in described["containerInstances"]:
            instance = self._state.instances[row["containerInstanceArn"]]
            instance.status = row["status"] = status
        return described

    # Tasks

    def list_tasks(self, given: Row) -> Row:
        """List tasks; by default those that are to run."""
        wanted = given.get("desiredStatus") or "RUNNING"
        found = [
            task
            for task in self._state.tasks_of(self.cluster(given))
            if task.desired_status == wanted and _matches(task, given)
        ]
        return {"taskArns": [task.arn for task in found]}

    def describe_tasks(self, given: Row) -> Row:
        """Describe tasks."""
        cluster = self.cluster(given)
        known = {task.id: task for task in self._state.tasks_of(cluster)}
        found, failures = [], []
        for wanted in given.get("tasks", ()):
            task = known.get(str(wanted).rpartition("/")[2])
            if task is None:
                failures.append(_missing(wanted))
            else:
                found.append(task.to_json())
        return {"tasks": found, "failures": failures}

    def run_task(self, given: Row) -> Row:
        """Place tasks, as many as fit."""
        cluster, definition = self._placing(given)
        count = int(given.get("count") or 1)
        if not 1 <= count <= MOST_TASKS:
            message = f"count should be between 1 and {MOST_TASKS}."
            raise RefusedError("InvalidParameterException", message)
        tasks: list[Row] = []
        failures: list[Row] = []
        for _ in range(count):
            try:
                task = self._state.place(
                    cluster,
                    definition,
                    str(given.get("group") or f"family:{definition['family']}"),
                    started_by=str(given.get("startedBy") or ""),
                    constraints=given.get("placementConstraints") or (),
                    strategy=given.get("placementStrategy") or (),
                    overrides=given.get("overrides") or {},
                )
            except placement.NoPlaceError as error:
                failures.append({"arn": error.arn, "reason": error.code})
            except ValueError as error:
                raise RefusedError("InvalidParameterException", str(error)) from error
            else:
                tasks.append(task.to_json())
        return {"tasks": tasks, "failures": failures}

    def start_task(self, given: Row) -> Row:
        """Start a task on each of these container instances, whatever strategies say."""
        cluster, definition = self._placing(given)
        known = {each.arn.rpartition("/")[2]: each for each in self._state.instances_of(cluster)}
        tasks, failures = [], []
        group = str(given.get("group") or f"family:{definition['family']}")
        for wanted in given.get("containerInstances", ()):
            instance = known.get(str(wanted).rpartition("/")[2])
            if instance is None:
                failures.append(_missing(wanted))
                continue
            here = placement.candidate(instance, self._state.tasks_of(cluster), group)
            reason = placement.lacks(here, definition) if instance.connected else "AGENT"
            if reason:
                failures.append({"arn": instance.arn, "reason": reason})
                continue
            more = {
                "started_by": str(given.get("startedBy") or ""),
                "overrides": given.get("overrides") or {},
            }
            tasks.append(self._state.add(instance, definition, group, **more).to_json())
        return {"tasks": tasks, "failures": failures}

    def _placing(self, given: Row) -> tuple[str, Row]:
        """Return the cluster and the definition of tasks that a call wants placed."""
        if given.get("launchType") == "FARGATE":
            raise RefusedError("InvalidParameterException", FARGATE)
        definition = self._state.definition(str(given.get("taskDefinition", "")))
        if definition is None:
            raise RefusedError("ClientException", "TaskDefinition not found.")
        return self.cluster(given), definition

    def stop_task(self, given: Row) -> Row:
        """Have a task stopped."""
        wanted = str(given.get("task", "")).rpartition("/")[2]
        for task in self._state.tasks_of(self.cluster(given)):
            if task.id == wanted:
                reason = str(given.get("reason") or "Task stopped by user")
                self._state.stop(task, "UserInitiated", reason)
                return {"task": task.to_json()}
        message = "The referenced task was not found."
        raise RefusedError("InvalidParameterException", message)

    # Services

    def list_services(self, given: Row) -> Row:
        """List a cluster's services."""
        return {"serviceArns": [s["serviceArn"] for s in self._state.services(self.cluster(given))]}

    def describe_services(self, given: Row) -> Row:
        """Describe services, with their deployments and events."""
        known = {row["serviceName"]: row for row in self._state.services(self.cluster(given))}
        found, failures = [], []
        for wanted in given.get("services", ()):
            row = known.get(str(wanted).rpartition("/")[2])
            if row is None:
                failures.append(_missing(wanted))
            else:
                found.append(self._service(row))
        return {"services": found, "failures": failures}

    def _service(self, row: Row) -> Row:
        tasks = self._state.tasks_of(row["clusterArn"], row["serviceArn"])
        deployments = []
        arns = list(dict.fromkeys(t.definition_arn for t in reversed(tasks) if t.wanted))
        others = [arn for arn in arns if arn != row["taskDefinition"]]
        desired = int(row["desiredCount"])
        for arn in (row["taskDefinition"], *others):
            own = [task for task in tasks if task.definition_arn == arn and task.wanted]
            running = sum(task.last_status == "RUNNING" for task in own)
            primary = arn == row["taskDefinition"]
            done = running == desired and not others
            deployments.append(
                {
                    "id": f"ecs-svc/{id_for(row['serviceArn'] + arn)[:19]}",
                    "status": "PRIMARY" if primary else "ACTIVE",
                    "taskDefinition": arn,
                    "desiredCount": desired if primary else 0,
                    "runningCount": running,
                    "pendingCount": len(own) - running,
                    "failedTasks": sum(
                        t.stop_code == "TaskFailedToStart" and t.definition_arn == arn
                        for t in tasks
                    ),
                    "launchType": "EC2",
                    "rolloutState": "COMPLETED" if primary and done else "IN_PROGRESS",
                }
            )
        return row | {
            "runningCount": sum(d["runningCount"] for d in deployments),
            "pendingCount": sum(d["pendingCount"] for d in deployments),
            "deployments": deployments,
            "events": self._state.events.get(row["serviceArn"], []),
        }

    # Task definitions

    def list_task_definitions(self, given: Row) -> Row:
        """List task definitions, or those of a family."""
        family = given.get("familyPrefix")
        rows = [r for r in self._state.definitions().values() if family in (None, r["family"])]
        return {"taskDefinitionArns": [row["taskDefinitionArn"] for row in rows]}

    def list_task_definition_families(self, given: Row) -> Row:
        """List the families of task definitions."""
        prefix = str(given.get("familyPrefix") or "")
        rows = self._state.definitions().values()
        return {"families": sorted({r["family"] for r in rows if r["family"].startswith(prefix)})}

    def describe_task_definition(self, given: Row) -> Row:
        """Describe a task definition."""
        row = self._state.definition(str(given.get("taskDefinition", "")))
        if row is None:
            raise RefusedError("ClientException", "Unable to describe task definition.")
        return {"taskDefinition": row, "tags": []}


def _missing(wanted: Any) -> Row:
    return {"arn": str(wanted), "reason": "MISSING"}


def _matches(task: Task, given: Row) -> bool:
    instance = str(given.get("containerInstance") or "").rpartition("/")[2]
    service = str(given.get("serviceName") or "").rpartition("/")[2]
    return (
        instance in ("", task.instance.rpartition("/")[2])
        and service in ("", task.service.rpartition("/")[2])
        and given.get("family") in (None, task.definition["family"])
        and given.get("startedBy") in (None, task.started_by)
    )


def _resources(cpu: int, memory: int, ports: Iterable[str]) -> list[Row]:
    return [
        {"name": "CPU", "type": "INTEGER", "integerValue": cpu},
        {"name": "MEMORY", "type": "INTEGER", "integerValue": memory},
        {"name": "PORTS", "type": "STRINGSET", "stringSetValue": list(ports)},
    ]


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


OPERATIONS: dict[str, Callable[[Operations, Row], Row]] = {
    _camel(name): function
    for name, function in vars(Operations).items()
    if name.partition("_")[0] in ("list", "describe", "update", "run", "start", "stop")
    and "_" in name
}
"""The operations, by their names in the API."""
