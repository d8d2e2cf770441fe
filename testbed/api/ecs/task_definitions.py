"""Task definitions."""

from __future__ import annotations

import re

from testbed.api.ecs.common import (
    SERVICE,
    Row,
    constraints,
    declared,
    own_name,
    refuse_others,
)
from testbed.api.errors import ApiError
from testbed.api.operations import Ask, Params, Work, changes, edit
from testbed.api.world import World
from testbed.lower.workloads.ecs_shapes import task_definition_shape
from testbed.topology import editing

KNOWN = (
    *("family", "containerDefinitions", "networkMode", "cpu", "memory", "placementConstraints"),
    *("requiresCompatibilities", "tags", "taskRoleArn", "executionRoleArn"),
)
CONTAINER = {  # keys of the document, by the API's
    "image": "image",
    "command": "command",
    "user": "user",
    "workingDirectory": "working_directory",
    "readonlyRootFilesystem": "read_only",
    "cpu": "cpu",
    "memory": "memory",
    "memoryReservation": "memory_reservation",
    "essential": "essential",
    "stopTimeout": "stop_timeout",
}
OTHERS = ("name", "environment", "portMappings", "restartPolicy")
PORT = {"containerPort": "container_port", "hostPort": "host_port", "protocol": "protocol"}
OURS = re.compile(r"(/|oci:|oci-archive:|docker-archive:|docker://).*|busybox")
REGISTRY = re.compile(r"[\w.-]+[.:][\w.:-]*/.+")
NUMBER = re.compile(r"[0-9]+")


@changes("RegisterTaskDefinition", SERVICE)
def register_task_definition(ask: Ask) -> Work:
    """Register another revision of a family."""
    given = ask.parameters
    refuse_others(given, KNOWN)
    if given.get("networkMode") == "awsvpc":
        message = "The network mode awsvpc is not emulated here: use bridge, host or none."
        raise ApiError("UnsupportedFeatureException", message)
    family = str(given["family"])
    known = [
        d.revision for d in declared(ask.world).task_definitions.values() if d.family == family
    ]
    name = f"{family}:{max(known, default=0) + 1}"
    values: Row = {
        "containers": {row["name"]: _container(row) for row in given["containerDefinitions"]}
    }
    if given.get("networkMode"):
        values["network_mode"] = given["networkMode"]
    for key in ("cpu", "memory"):
        if given.get(key):
            values[key] = _number(key, str(given[key]))
    if rules := constraints(given):
        values["placement_constraints"] = rules
    change = editing.register_ecs_task_definition(task_definition=name, **values)
    return Work(change=edit(change), answer=lambda world: {"taskDefinition": _shape(world, name)})


def _shape(world: World, name: str) -> Row:
    return task_definition_shape(world.topology, declared(world).task_definitions[name])


def _number(key: str, text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise ApiError(
            "ClientException", f"Invalid '{key}' setting: {text} is no whole number here."
        )
    return int(text)


def _container(given: Params) -> Row:
    """Return a container as the document has it."""
    refuse_others(given, (*CONTAINER, *OTHERS))
    row = {ours: given[key] for key, ours in CONTAINER.items() if given.get(key) is not None}
    row["image"] = _image(str(given.get("image", "")))
    if given.get("environment"):
        row["environment"] = {e["name"]: e.get("value", "") for e in given["environment"]}
    if given.get("restartPolicy"):
        refuse_others(given["restartPolicy"], ("enabled",))
        row["restart"] = bool(given["restartPolicy"].get("enabled"))
    if given.get("portMappings"):
        row["port_mappings"] = []
        for mapping in given["portMappings"]:
            refuse_others(mapping, (*PORT, "name", "appProtocol"))
            kept = {PORT[key]: value for key, value in mapping.items() if key in PORT}
            row["port_mappings"].append(kept)
    return row


def _image(text: str) -> str:
    """Return an image as the document names it: Docker's names are those of registries."""
    if text in ("busybox:latest", "busybox"):
        return "busybox"
    if OURS.fullmatch(text):
        return text
    if REGISTRY.fullmatch(text):
        return f"docker://{text}"
    message = f"There is no public registry here: {text} needs REGISTRY/NAME[:TAG], or busybox."
    raise ApiError("ClientException", message)


@changes("DeregisterTaskDefinition", SERVICE)
def deregister_task_definition(ask: Ask) -> Work:
    """Deregister a revision that no service runs."""
    name = own_name(str(ask["taskDefinition"]))
    if name not in declared(ask.world).task_definitions:
        raise ApiError("ClientException", "The specified task definition does not exist.")
    row = _shape(ask.world, name) | {"status": "INACTIVE"}
    family, _, revision = name.partition(":")
    written = ask.world.data["workloads"]["ecs"]["task_definitions"]
    key = name if name in written or revision != "1" else family
    change = editing.deregister_ecs_task_definition(task_definition=key)
    return Work(change=edit(change), answer=lambda _: {"taskDefinition": row})
