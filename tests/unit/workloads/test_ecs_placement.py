"""Where ECS places tasks, and what a WebSocket carries: pure functions of the programs."""

from __future__ import annotations

import json
import random
import socket
from typing import Any

import pytest

from testbed.programs import json_service, websocket
from testbed.programs.ecs import expressions, placement
from testbed.programs.ecs.cluster import State
from testbed.programs.ecs.scheduling import Scheduler
from testbed.programs.ecs.state import Instance
from testbed.programs.services import TcpClient

Row = dict[str, Any]
ARN = "arn:aws:ecs:us-west-2:123456789012"
CLUSTER = f"{ARN}:cluster/edge"


def definition(**more: Any) -> Row:
    container = {"name": "c", "image": "busybox", "memory": 100, "cpu": 512, **more}
    return {
        "family": "web",
        "revision": 1,
        "taskDefinitionArn": f"{ARN}:task-definition/web:1",
        "containerDefinitions": [container],
    }


def state(*names: str, **service: Any) -> State:
    """A cluster with connected instances of 1024 CPU units and 1000 MiB, and one service."""
    row = {
        "id": "1",
        "serviceName": "web",
        "serviceArn": f"{ARN}:service/edge/web",
        "clusterArn": CLUSTER,
        "desiredCount": 2,
        "schedulingStrategy": "REPLICA",
        "taskDefinition": f"{ARN}:task-definition/web:1",
        "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100},
        **service,
    }
    made = State(
        {
            "clusters": [{"clusterName": "edge", "clusterArn": CLUSTER}],
            "services": [row],
            "taskDefinitions": [definition()],
        }
    )
    for number, name in enumerate(names):
        arn = f"{ARN}:container-instance/edge/{name}"
        instance = Instance(arn, name, f"i-{name}", CLUSTER, 1024, 1000, connected=True)
        instance.attributes["rack"] = "ab"[number % 2]
        made.instances[arn] = instance
    return made


def placed(made: State, count: int, row: Row, **given: Any) -> list[str]:
    """The names of the instances on which so many tasks are placed, in order."""
    found = []
    for _ in range(count):
        task = made.place(CLUSTER, row, "family:web", **given)
        found.append(made.instances[task.instance].name)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("attribute:rack == a", True),
        ("attribute:rack != a", False),
        ("attribute:rack in [a, c]", True),
        ("attribute:rack not_in [a, c]", False),
        ("attribute:gpu exists or attribute:rack == a", True),
        ("not (attribute:gpu exists) and ec2InstanceId == i-one", True),
        ("attribute:rack =~ [ab]+", True),
    ],
)
def test_expressions(text: str, expected: bool) -> None:
    assert expressions.parse(text)({"rack": "a", "ec2InstanceId": "i-one"}) is expected


@pytest.mark.parametrize("text", ["", "attribute:rack", "rack == ", "(rack == a", "rack in a", "="])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(expressions.ExpressionError):
        expressions.parse(text)


def test_strategies() -> None:
    spread = [{"type": "spread", "field": "attribute:rack"}]
    assert placed(state("one", "two", "three"), 2, definition(), strategy=spread) == ["one", "two"]
    pack = [{"type": "binpack", "field": "memory"}]
    assert placed(state("one", "two"), 3, definition(), strategy=pack) == ["one", "one", "two"]


def test_constraints() -> None:
    distinct = [{"type": "distinctInstance"}]
    made = state("one", "two")
    assert placed(made, 2, definition(), constraints=distinct) == ["one", "two"]
    with pytest.raises(placement.NoPlaceError, match="DistinctInstance"):
        placed(made, 1, definition(), constraints=distinct)
    member = [{"type": "memberOf", "expression": "attribute:rack == b"}]
    assert placed(state("one", "two"), 1, definition(), constraints=member) == ["two"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"cpu": 2000}, "RESOURCE:CPU"),
        ({"memory": 2000}, "RESOURCE:MEMORY"),
    ],
)
def test_reasons(more: Row, code: str) -> None:
    with pytest.raises(placement.NoPlaceError) as caught:
        placed(state("one"), 1, definition(**more))
    assert caught.value.code == code


def test_ports_and_agents() -> None:
    made, row = state("one"), definition(portMappings=[{"containerPort": 1, "hostPort": 80}])
    placed(made, 1, row)
    with pytest.raises(placement.NoPlaceError) as caught:
        placed(made, 1, row)
    assert caught.value.code == "RESOURCE:PORTS"
    next(iter(made.instances.values())).connected = False
    with pytest.raises(placement.NoPlaceError) as caught:
        placed(made, 1, definition())
    assert caught.value.code == "AGENT"


def run_all(made: State) -> None:
    """Let every task that is to run do so, and every other one end."""
    for task in made.tasks.values():
        if task.desired_status == "STOPPED" and task.active:
            made.stopped(task)
        elif task.active:
            task.last_status, task.started = "RUNNING", 1.0


def test_a_deployment_keeps_what_has_to_be_healthy() -> None:
    made = state("one", "two", desiredCount=2)
    made.declared["taskDefinitions"].append(
        definition() | {"revision": 2, "taskDefinitionArn": f"{ARN}:task-definition/web:2"}
    )
    scheduler = Scheduler(made)
    scheduler.run()
    run_all(made)
    [service] = made.declared["services"]
    service["taskDefinition"] = f"{ARN}:task-definition/web:2"
    for _ in range(6):
        scheduler.run()
        healthy = [task for task in made.tasks.values() if task.last_status == "RUNNING"]
        assert len([task for task in healthy if task.wanted]) >= 2
        assert len([task for task in made.tasks.values() if task.wanted]) <= 4
        run_all(made)
    left = [task for task in made.tasks.values() if task.wanted]
    assert [task.definition_arn[-1] for task in left] == ["2", "2"]


def test_a_daemon_has_one_task_on_each_instance() -> None:
    made = state("one", "two", "three", schedulingStrategy="DAEMON")
    scheduler = Scheduler(made)
    for _ in range(3):
        scheduler.run()
        run_all(made)
    assert sorted(made.instances[task.instance].name for task in made.tasks.values()) == [
        "one",
        "three",
        "two",
    ]


def test_tasks_that_fail_to_start_are_started_less_and_less_often() -> None:
    made = state("one", desiredCount=1)
    scheduler = Scheduler(made)
    waits = []
    for _ in range(3):
        scheduler._next.clear()
        scheduler.run()
        task = list(made.tasks.values())[-1]
        task.stop_code = "TaskFailedToStart"
        made.stopped(task)
        waits.append(round(scheduler.run() or 0))
    assert waits == [1, 2, 4]


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("size", [0, 5, 125, 126, 65535, 65536])
def test_messages_in_frames(size: int, *, masked: bool) -> None:
    text = "é" * (size // 2) + "x" * (size % 2)
    sent = websocket.frame(text, masked=masked) * 2
    assert websocket.messages(sent) == ([text, text], b"")
    cut = random.Random(size).randrange(len(sent))
    found, rest = websocket.messages(sent[:cut])
    assert found + websocket.messages(rest + sent[cut:])[0] == [text, text]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ("{}", 200, ""),
        ("[]", 400, "InvalidParameterException"),
        ("no JSON", 400, "SerializationException"),
        ('{"instance": 3}', 400, "InvalidParameterException"),
        ('{"cluster": "none"}', 400, "ClusterNotFoundException"),
    ],
)
def test_whatever_a_client_sends_is_answered(body: str, status: int, kind: str) -> None:
    """A request ends no control plane."""

    def operate(operation: str, given: Row) -> Row:
        assert operation == "ListTasks"
        if given.get("cluster") == "none":
            raise json_service.RefusedError("ClusterNotFoundException", "Cluster not found.")
        return {"tasks": given["instance"]["name"]} if given else {"tasks": []}

    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = TcpClient(ours, "10.0.0.1:1", lambda _: None)
        head = f"POST / HTTP/1.1\r\nX-Amz-Target: V1.ListTasks\r\nContent-Length: {len(body)}"
        connection.inbox = f"{head}\r\n\r\n{body}".encode()
        json_service.handle(connection, operate)
    assert connection.closing
    first, _, said = connection.outbox.decode().partition("\r\n\r\n")
    assert first.startswith(f"HTTP/1.1 {status} ")
    assert json.loads(said).get("__type", "") == kind


def test_a_closed_websocket() -> None:
    with pytest.raises(websocket.BrokenError):
        websocket.messages(bytes([0x88, 0]))
