"""What agents call: to register, to find their channel, to tell what has become of tasks."""

from __future__ import annotations

import time

from testbed.programs.ecs.cluster import State
from testbed.programs.ecs.state import FIRST_AGENT, Instance, Row, Task, id_for
from testbed.programs.json_service import RefusedError

OPERATIONS = ("DiscoverPollEndpoint", "RegisterContainerInstance", "SubmitTaskStateChange")


class Registering:
    """The operations of agents."""

    def __init__(self, state: State) -> None:
        self._state = state

    def run(self, operation: str, given: Row) -> Row:
        """Carry out an operation. Raises RefusedError as AWS refuses."""
        if operation == "DiscoverPollEndpoint":
            domain = f"{self._state.declared['region']}.amazonaws.com"
            return {"endpoint": f"http://ecs-a.{domain}:443/"}
        if operation == "RegisterContainerInstance":
            return self._register(given)
        return self._submit(given)

    def _register(self, given: Row) -> Row:
        cluster = self._state.clusters().get(str(given.get("cluster") or "default"))
        if cluster is None:
            raise RefusedError("ClientException", "Cluster not found.")
        version = str(given.get("versionInfo", {}).get("agentVersion", ""))
        numbers = tuple(int(part) for part in version.split(".") if part.isdecimal())
        if numbers < FIRST_AGENT:
            needed = ".".join(map(str, FIRST_AGENT))
            message = f"On AWS Outposts the container agent has to be {needed} or later."
            raise RefusedError("InvalidParameterException", message)
        name = str(given["name"])
        place = cluster["clusterArn"].replace(":cluster/", ":container-instance/")
        arn = f"{place}/{id_for(cluster['clusterArn'] + name)}"
        resources = {r["name"]: r.get("integerValue", 0) for r in given["totalResources"]}
        former = self._state.instances.get(arn)
        instance = Instance(
            arn,
            name,
            str(given["ec2InstanceId"]),
            cluster["clusterArn"],
            cpu=int(resources["CPU"]),
            memory=int(resources["MEMORY"]),
            attributes={a["name"]: a.get("value", "") for a in given.get("attributes", ())},
            version=version,
            registered=former.registered if former else time.time(),
            status=former.status if former else "ACTIVE",
            connected=former.connected if former else False,
            heard=former.heard if former else 0.0,
        )
        self._state.instances[arn] = instance
        return {"containerInstance": {"containerInstanceArn": arn}}

    def _submit(self, given: Row) -> Row:
        task = self._state.tasks.get(str(given.get("task")))
        if task is not None and task.active:
            _note(task, given)
            if given["status"] == "STOPPED":
                self._state.stopped(task)
        return {"acknowledgment": "ACK"}


def _note(task: Task, given: Row) -> None:
    """Note what an agent says of a task and of its containers."""
    known = {container["name"]: container for container in task.containers}
    for said in given.get("containers", ()):
        container = known.get(said["containerName"], {})
        container["lastStatus"] = said["status"]
        for key in ("exitCode", "reason", "runtimeId", "networkBindings"):
            if key in said:
                container[key] = said[key]
    status = str(given["status"])
    if status == "RUNNING":
        task.last_status, task.started = "RUNNING", task.started or time.time()
    elif status == "STOPPED" and not task.stop_code:
        failed = not task.started and "reason" in given
        task.stop_code = "TaskFailedToStart" if failed else "EssentialContainerExited"
        task.stopped_reason = str(given.get("reason") or "Essential container in task exited")
