"""Amazon ECS: its control plane in the Region, tasks on a rack, and what a cut changes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_clients import client, environment, served
from botocore.exceptions import ClientError

from testbed.testing import Node, Testbed
from testbed.testing.users import Usage
from testbed.topology import editing as edit

TOPOLOGY = Path(__file__).parents[2] / "topologies" / "ecs.yaml"
MISSING = [program for program in ("crun", "busybox") if shutil.which(program) is None]
pytestmark = [
    pytest.mark.packets,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
ENDPOINT = "ecs.us-west-2.amazonaws.com"
TARGET = "AmazonEC2ContainerServiceV20141113"
ONE, TWO = "http://10.77.7.4/", "http://10.77.7.5/"
CLUSTER = {"cluster": "edge"}
Row = dict[str, Any]


@pytest.fixture(scope="module")
def running(testbed_factory: Callable[..., Testbed]) -> Testbed:
    made = testbed_factory(TOPOLOGY, testbed_time="virtual", testbed_seed=1)
    steady(made)
    return made


@pytest.fixture(autouse=True)
def as_declared(running: Testbed) -> Iterator[None]:
    """Each test finds the service with its two tasks, and leaves it so."""
    yield
    running.heal()
    running.apply(TOPOLOGY)
    steady(running)


def asked(testbed: Testbed, operation: str, **parameters: Any) -> Row:
    """What the control plane answers by the testbed's control socket."""
    request = {"op": "operation", "operation": operation, "parameters": parameters}
    reply = testbed.client.inquire("region.ecs", "ecs", request)
    found: Row = reply["result"]
    return found


def called(node: Node, operation: str, **parameters: Any) -> Row:
    """What ECS answers to a request that an instance sends it, in packets."""
    body = json.dumps(parameters)
    head = f"POST / HTTP/1.1\r\nHost: {ENDPOINT}\r\nX-Amz-Target: {TARGET}.{operation}\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n{body}"
    said = node.run(["testbed-fetch", ENDPOINT, "443", "5"], input=request.encode(), check=False)
    return json.loads(said.stdout.partition(b"\r\n\r\n")[2]) if not said.returncode else {}


def service(testbed: Testbed) -> Row:
    [row] = asked(testbed, "DescribeServices", **CLUSTER, services=["web"])["services"]
    return dict(row)


def tasks(testbed: Testbed, **given: Any) -> list[Row]:
    arns = asked(testbed, "ListTasks", **CLUSTER, **given)["taskArns"]
    found: list[Row] = asked(testbed, "DescribeTasks", **CLUSTER, tasks=arns)["tasks"]
    return found


def instances(testbed: Testbed) -> dict[str, Row]:
    """The container instances, by their names."""
    arns = asked(testbed, "ListContainerInstances", **CLUSTER)["containerInstanceArns"]
    rows = asked(testbed, "DescribeContainerInstances", **CLUSTER, containerInstances=arns)
    names = ("one", "two")  # in the order of their names
    return dict(zip(names, rows["containerInstances"], strict=True))


def steady(testbed: Testbed, count: int = 2) -> None:
    """Wait until the service has what it wants, and no more."""

    def is_steady() -> bool:
        row, there = service(testbed), tasks(testbed)
        states = {task["lastStatus"] for task in there}
        return row["runningCount"] == len(there) == count and states == {"RUNNING"}

    testbed.eventually(is_steady, timeout=300)


def kill(testbed: Testbed, name: str) -> None:
    """Kill the processes of the task that an instance has."""
    arn = instances(testbed)[name]["containerInstanceArn"]
    [task] = [task for task in tasks(testbed) if task["containerInstanceArn"] == arn]
    marked = f"^HOSTNAME={task['taskArn'].rpartition('/')[2][:12]}$"
    script = f"for p in $(grep -lzs '{marked}' /proc/[0-9]*/environ); do echo ${{p//[!0-9]}}; done"
    found = testbed[name].run(["bash", "-c", script]).stdout.decode().split()
    testbed[name].run(["kill", "-9", *found])


def test_tasks_serve_the_office_and_register_over_the_service_link(running: Testbed) -> None:
    with running["op.vpc-app"].capture("sl", "tcp port 443") as crossing:
        said = called(running["one"], "DescribeTasks", **CLUSTER, tasks=[])
    assert said == {"tasks": [], "failures": []}
    assert crossing.packets
    for url in (ONE, TWO):
        assert running["desk"].http(url).status == 200
    task = tasks(running)[0]
    [container] = task["containers"]
    [binding] = container["networkBindings"]
    assert (binding["hostPort"], binding["containerPort"]) == (80, 8080)
    assert connected(running) == {True}


def test_a_task_that_dies_is_replaced(running: Testbed) -> None:
    there = {task["taskArn"] for task in tasks(running)}
    kill(running, "one")
    running.eventually(lambda: there - {task["taskArn"] for task in tasks(running)}, timeout=60)
    [arn] = there - {task["taskArn"] for task in tasks(running)}
    dead = stopped(running, {"taskArn": arn})
    assert dead["stopCode"] == "EssentialContainerExited"
    assert dead["stoppedReason"] == "Essential container in task exited"
    assert dead["containers"][0]["exitCode"] == 137
    steady(running)


def test_a_deployment_rolls_without_a_time_when_nobody_serves(running: Testbed) -> None:
    """With half of them healthy one instance serves while the other one changes."""
    page = "mkdir /srv; hostname > /srv/index.html; exec httpd -f -p 9090 -h /srv"
    new = edit.register_ecs_task_definition(
        task_definition="web:2",
        containers={
            "httpd": {
                "image": "busybox",
                "command": ["sh", "-c", page],
                "memory": 64,
                "stop_timeout": 2,
                "port_mappings": [{"container_port": 9090, "host_port": 80}],
            }
        },
    )
    with running.users(("desk", ONE), ("desk", TWO), every_s=0.2) as users:
        running.edit(new)
        running.eventually(lambda: definitions(running) == {"web:2"}, timeout=300)
        running.advance(2)
        first, second = users.usage().values()
    assert all(each.sent > each.failed for each in (first, second)), f"{first}; {second}"
    assert None not in (first.gap_s, second.gap_s), f"{first}; {second}"
    assert apart(first, second), f"{first}; {second}"
    assert service(running)["deployments"][0]["rolloutState"] == "COMPLETED"


def apart(one: Usage, other: Usage) -> bool:
    """Whether requests to two servers failed at different times, if at both at all."""
    if one.first is None or one.last is None or other.first is None or other.last is None:
        return True
    return one.last < other.first or other.last < one.first


def definitions(testbed: Testbed) -> set[str]:
    """The definitions of the tasks that run."""
    rows = tasks(testbed)
    if {row["lastStatus"] for row in rows} != {"RUNNING"} or len(rows) != 2:
        return set()
    return {row["taskDefinitionArn"].rpartition("/")[2] for row in rows}


def test_a_drained_instance_gives_its_tasks_away(running: Testbed) -> None:
    """There is no port for a second task on the other one, so there is one task less."""
    two = instances(running)["two"]["containerInstanceArn"]
    given = {"containerInstances": [two], "status": "DRAINING"}
    asked(running, "UpdateContainerInstancesState", **CLUSTER, **given)
    running.eventually(lambda: instances(running)["two"]["runningTasksCount"] == 0, timeout=60)
    assert (
        "is already using a port required by your task" in service(running)["events"][0]["message"]
    )
    given["status"] = "ACTIVE"
    asked(running, "UpdateContainerInstancesState", **CLUSTER, **given)


def test_a_cut_service_link(running: Testbed) -> None:
    """Tasks serve on, one that dies stays dead, nothing is placed; then all is put right."""
    with running.users(("desk", ONE), ("desk", TWO), every_s=2) as users:
        with running.fault("service-link-cut", "op"):
            assert called(running["one"], "ListClusters") == {}
            running.eventually(lambda: connected(running) == {False}, timeout=120)
            running.advance(240)
            found = users.usage().values()
            assert all(each.ok and each.sent > 120 for each in found), str(found)
            kill(running, "two")
            users.mark()
            said = asked(running, "RunTask", **CLUSTER, taskDefinition="web")
            assert [row["reason"] for row in said["failures"]] == ["AGENT"]
            running.advance(60)
            first, second = users.usage().values()
            assert first.ok, str(first)
            assert second.failed == second.sent > 0, str(second)
            assert service(running)["runningCount"] == 2  # as far as the Region knows
            before = {task["taskArn"] for task in tasks(running)}
        running.eventually(lambda: {t["taskArn"] for t in tasks(running)} != before, timeout=300)
        steady(running)
        users.mark()
        running.advance(20)
        found = users.usage().values()
    assert all(each.ok for each in found), str(found)
    assert connected(running) == {True}


def connected(testbed: Testbed) -> set[bool]:
    """What the Region says of the agents."""
    return {row["agentConnected"] for row in instances(testbed).values()}


def test_run_task_and_stop_task(running: Testbed) -> None:
    once = {"image": "busybox", "command": ["sh", "-c", "exit 3"], "memory": 16}
    waits = {"image": "busybox", "command": ["sleep", "9999"], "memory": 16, "stop_timeout": 1}
    lost = {"image": "docker://127.0.0.1:9/nothing", "memory": 16}
    running.edit(
        edit.together(
            edit.register_ecs_task_definition(task_definition="once", containers={"c": once}),
            edit.register_ecs_task_definition(
                task_definition="waits", network_mode="host", containers={"c": waits}
            ),
            edit.register_ecs_task_definition(task_definition="lost", containers={"c": lost}),
        )
    )
    [task] = asked(running, "RunTask", **CLUSTER, taskDefinition="once")["tasks"]
    ended = stopped(running, task)
    assert (ended["containers"][0]["exitCode"], ended["stopCode"]) == (
        3,
        "EssentialContainerExited",
    )
    [task] = asked(running, "RunTask", **CLUSTER, taskDefinition="waits")["tasks"]
    running.eventually(lambda: state(running, task)["lastStatus"] == "RUNNING", timeout=60)
    asked(running, "StopTask", **CLUSTER, task=task["taskArn"], reason="enough")
    ended = stopped(running, task)
    assert (ended["stopCode"], ended["stoppedReason"]) == ("UserInitiated", "enough")
    [task] = asked(running, "RunTask", **CLUSTER, taskDefinition="lost")["tasks"]
    ended = stopped(running, task)
    assert ended["stopCode"] == "TaskFailedToStart"
    assert ended["stoppedReason"].startswith("CannotPullContainerError: skopeo: ")


def state(testbed: Testbed, task: Row) -> Row:
    [row] = asked(testbed, "DescribeTasks", **CLUSTER, tasks=[task["taskArn"]])["tasks"]
    return dict(row)


def stopped(testbed: Testbed, task: Row) -> Row:
    """A task, once it has stopped."""
    testbed.eventually(lambda: state(testbed, task)["lastStatus"] == "STOPPED", timeout=120)
    return state(testbed, task)


CONTAINER: Row = {
    "name": "httpd",
    "image": "busybox:latest",
    "command": ["httpd", "-f", "-p", "9090", "-h", "/etc"],
    "memory": 64,
    "stopTimeout": 2,
    "portMappings": [{"containerPort": 9090, "hostPort": 8080}],
}
USER_DATA = """#!/bin/sh
echo ECS_CLUSTER=shop >> /etc/ecs/ecs.config
echo ECS_IMAGE_PULL_BEHAVIOR=prefer-cached >> /etc/ecs/ecs.config
"""


def test_the_guide_by_the_api(running: Testbed) -> None:
    """Cluster, container instance by its user data, task definition, service; the office calls."""
    with served(running.client.name) as url:
        ecs, ec2 = client(url, "ecs"), client(url)
        assert ecs.create_cluster(clusterName="shop")["cluster"]["status"] == "ACTIVE"
        subnets = ec2.describe_subnets(Filters=[{"Name": "cidr-block", "Values": ["10.77.7.0/24"]}])
        subnet = subnets["Subnets"][0]["SubnetId"]
        many = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "UserData": USER_DATA}
        [instance] = ec2.run_instances(SubnetId=subnet, **many)["Instances"]
        definition = ecs.register_task_definition(family="page", containerDefinitions=[CONTAINER])
        arn = definition["taskDefinition"]["taskDefinitionArn"]
        assert arn.endswith(":task-definition/page:1")
        shop: Row = {"cluster": "shop"}
        ecs.create_service(**shop, serviceName="page", taskDefinition="page", desiredCount=1)

        def running_count() -> int:
            [row] = ecs.describe_services(**shop, services=["page"])["services"]
            return int(row["runningCount"])

        running.eventually(lambda: running_count() == 1, timeout=120)
        [own] = ecs.list_container_instances(**shop)["containerInstanceArns"]
        described = ecs.describe_container_instances(**shop, containerInstances=[own])
        [row] = described["containerInstances"]
        assert row["ec2InstanceId"] == instance["InstanceId"]
        assert row["agentConnected"]
        address = instance["PrivateIpAddress"]
        assert running["desk"].http(f"http://{address}:8080/passwd").status == 200
        argv = [sys.executable, "-m", "awscli", "ecs", "list-tasks", "--cluster", "shop"]
        argv += ["--query", "taskArns[0]", "--output", "text"]
        said = subprocess.run(
            argv, env=environment(url), capture_output=True, text=True, check=True
        )
        [task] = ecs.describe_tasks(**shop, tasks=[said.stdout.strip()])["tasks"]
        assert (task["lastStatus"], task["group"]) == ("RUNNING", "service:page")
        refused(ecs, url, arn)
        ecs.update_service(**shop, service="page", desiredCount=0)
        running.eventually(lambda: running_count() == 0, timeout=60)
        ecs.delete_service(**shop, service="page")
        assert ecs.list_services(**shop)["serviceArns"] == []


def refused(ecs: Any, url: str, definition: str) -> None:
    """What AWS refuses is refused here, with its codes."""
    of_shop: Row = {"cluster": "shop", "taskDefinition": "page"}
    for code, function, given in (
        ("InvalidParameterException", ecs.run_task, {**of_shop, "launchType": "FARGATE"}),
        ("ClusterNotFoundException", ecs.list_tasks, {"cluster": "none"}),
        ("ClusterContainsContainerInstancesException", ecs.delete_cluster, {"cluster": "edge"}),
        (
            "InvalidParameterException",
            ecs.delete_service,
            {"cluster": "shop", "service": "page"},
        ),
        ("ClientException", ecs.deregister_task_definition, {"taskDefinition": definition}),
        (
            "UnsupportedFeatureException",
            ecs.register_task_definition,
            {"family": "x", "networkMode": "awsvpc", "containerDefinitions": [CONTAINER]},
        ),
    ):
        with pytest.raises(ClientError) as caught:
            function(**given)
        assert caught.value.response["Error"]["Code"] == code, str(caught.value)
