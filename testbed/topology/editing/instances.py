"""Instances: run, start, stop, terminate and modify them; placement groups."""

from __future__ import annotations

from typing import Any, Literal

from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.kinds import (
    ECS_CONTAINER_INSTANCE,
    INSTANCE,
    NETWORK_INTERFACE,
    PLACEMENT_GROUP,
)
from testbed.topology.editing.named import add, change, remove, require
from testbed.topology.editing.tree import ANY, Data, find, put

STOPPED = "stopped"


@operation
def run_instances(
    data: Data,
    *,
    instances: list[str],
    subnet: str,
    instance_type: str | None = None,
    private_ip_address: str | None = None,
    secondary_private_ip_addresses: list[str] | None = None,
    ipv6_address: str | None = None,
    security_groups: list[str] | None = None,
    placement_group: str | None = None,
    metadata_options: dict[str, Any] | None = None,
    resource: str | None = None,
    services: list[str] | None = None,
    ami_snapshots: int | None = None,
) -> Data:
    """Run instances with these names in a subnet; addresses can be given for one only.

    `subnet` is a name, or vpc/subnet where two VPCs use the name; `ipv6_address` may be `auto`;
    `resource` is what it is to AWS, `services` what it runs to be reached (docs/topology.md).
    """
    values = {
        "subnet": subnet,
        "type": instance_type,
        "address": private_ip_address,
        "secondary_addresses": secondary_private_ip_addresses,
        "ipv6_address": ipv6_address,
        "security_groups": security_groups,
        "placement_group": placement_group,
        "metadata_options": metadata_options,
        "resource": resource,
        "services": services,
        "ami_snapshots": ami_snapshots,
    }
    if len(instances) > 1 and (private_ip_address or secondary_private_ip_addresses):
        message = "A private IP address is for one instance"
        path = INSTANCE.path(instances[0])
        raise EditError("InvalidParameterCombination", message, path, "run them one by one")
    for instance in instances:
        data = add(data, INSTANCE, (instance,), values)
    return data


@operation
def start_instances(data: Data, *, instances: list[str]) -> Data:
    """Start instances; running ones are left as they are."""
    return _in_state(data, instances, None)


@operation
def stop_instances(data: Data, *, instances: list[str]) -> Data:
    """Stop instances: their interfaces keep their addresses, routes to them become blackholes."""
    return _in_state(data, instances, STOPPED)


@operation
def terminate_instances(data: Data, *, instances: list[str]) -> Data:
    """Terminate instances; network interfaces attached to them are detached and kept.

    Routes that target an instance have to be deleted first.
    """
    for instance in instances:
        data = remove(data, INSTANCE, instance)
        for path, _ in find(data, *ECS_CONTAINER_INSTANCE.place, instance):
            data = put(data, path, None)
        for path, owner in find(data, "network_interfaces", ANY, "instance"):
            if str(owner) == instance:
                gone = {"instance": None, "device_index": None}
                data = change(data, NETWORK_INTERFACE, (str(path[1]),), gone)
    return data


@operation
def modify_instance_attribute(
    data: Data,
    *,
    instance: str,
    instance_type: str | None = None,
    source_dest_check: bool | None = None,
    groups: list[str] | None = None,
) -> Data:
    """Change the type of a stopped instance, or attributes of its primary interface."""
    if instance_type is not None:
        _stopped(data, instance)
    values = {
        "type": instance_type,
        "source_destination_check": source_dest_check,
        "security_groups": groups,
    }
    given = {key: value for key, value in values.items() if value is not None}
    return change(data, INSTANCE, (instance,), given)


@operation
def modify_instance_metadata_options(
    data: Data,
    *,
    instance: str,
    http_endpoint: Literal["enabled", "disabled"] | None = None,
    http_tokens: Literal["required", "optional"] | None = None,
    http_put_response_hop_limit: int | None = None,
) -> Data:
    """Change how an instance's metadata service is used."""
    values = {
        "http_endpoint": http_endpoint,
        "http_tokens": http_tokens,
        "http_put_response_hop_limit": http_put_response_hop_limit,
    }
    given = {("metadata_options", k): value for k, value in values.items() if value is not None}
    return change(data, INSTANCE, (instance,), given)


@operation
def modify_instance_placement(data: Data, *, instance: str, group_name: str | None) -> Data:
    """Put a stopped instance into a placement group; None removes it from its group."""
    _stopped(data, instance)
    if group_name is not None:
        require(data, PLACEMENT_GROUP, group_name)
    return change(data, INSTANCE, (instance,), {"placement_group": group_name})


@operation
def modify_instance_services(
    data: Data, *, instance: str, resource: str | None = None, services: list[str] | None = None
) -> Data:
    """Change which AWS resource an instance stands for, and the services on it (not in EC2)."""
    values = {"resource": resource, "services": services}
    given = {key: value for key, value in values.items() if value is not None}
    return change(data, INSTANCE, (instance,), given)


@operation
def create_placement_group(
    data: Data,
    *,
    group_name: str,
    strategy: Literal["cluster", "spread"],
    spread_level: Literal["host", "rack"] | None = None,
) -> Data:
    """Create a placement group."""
    values = {"strategy": strategy, "spread_level": spread_level}
    return add(data, PLACEMENT_GROUP, (group_name,), values)


@operation
def delete_placement_group(data: Data, *, group_name: str) -> Data:
    """Delete a placement group that no instance is in."""
    return remove(data, PLACEMENT_GROUP, group_name)


def _in_state(data: Data, instances: list[str], state: str | None) -> Data:
    for instance in instances:
        data = change(data, INSTANCE, (instance,), {"state": state})
    return data


def _stopped(data: Data, instance: str) -> None:
    if require(data, INSTANCE, instance).get("state") != STOPPED:
        message = f"The instance '{instance}' is not in the 'stopped' state."
        path = (*INSTANCE.path(instance), "state")
        raise EditError("IncorrectInstanceState", message, path, "stop it first")
