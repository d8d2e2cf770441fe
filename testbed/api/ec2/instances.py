"""Instances: run, start, stop, terminate, describe."""

from __future__ import annotations

import time
from typing import Any, Final

from testbed.api.ec2.launching import launch
from testbed.api.ec2.network_interfaces import (
    association,
    attachment,
    groups,
)
from testbed.api.ec2.network_interfaces import (
    describe as describe_interface,
)
from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import DONE, Ask, Result, Work, changes, edit, looks, missing
from testbed.api.records import values
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import Instance

KIND: Final = "instance"
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64}
CODES |= {"stopped": 80}
REBOOTING = "rebooting"  # in the record of an instance, for as long as it is stopped for that
KEPT_S = 3600.0  # how long a terminated instance is described
ALIASES = {
    "instance-state-name": "State.Name",
    "instance-state-code": "State.Code",
    "availability-zone": "Placement.AvailabilityZone",
    "private-dns-name": "PrivateDnsName",
    "ip-address": "PublicIpAddress",
    "instance.group-id": "SecurityGroups.GroupId",
    "instance.group-name": "SecurityGroups.GroupName",
    "placement-group-name": "Placement.GroupName",
    "network-interface.addresses.private-ip-address": (
        "NetworkInterfaces.PrivateIpAddresses.PrivateIpAddress"
    ),
}


def state_of(name: str) -> dict[str, Any]:
    """Return a state as answers have it."""
    return {"Code": CODES[name], "Name": name}


def state(world: World, instance: Instance) -> str:
    """Return the name of an instance's state."""
    rebooting = world.value(world.id(KIND, instance.name), REBOOTING)
    if instance.state == "stopped" and not rebooting:
        return "stopped"
    if rebooting:
        return "running"
    return world.state(world.id(KIND, instance.name), ready="running")


ALIKE: Final = {  # what all instances here have
    "Architecture": "x86_64",
    "BlockDeviceMappings": [],
    "EbsOptimized": False,
    "EnaSupport": True,
    "Hypervisor": "xen",
    "RootDeviceType": "ebs",
    "VirtualizationType": "hvm",
    "Monitoring": {"State": "disabled"},
}


def describe(world: World, instance: Instance) -> dict[str, Any]:
    """Return an instance as answers have it."""
    id_ = world.id(KIND, instance.name)
    interfaces = world.interfaces_of(instance.name)
    primary = interfaces[0]
    subnet = world.topology.subnet(instance.vpc, instance.subnet)
    address = str(instance.address)
    domain = world.topology.region.internal_domain
    metadata = instance.metadata
    row: dict[str, Any] = {
        "InstanceId": id_,
        "InstanceType": instance.type,
        "ImageId": world.value(id_, "image", "ami-00000000000000000"),
        "State": state_of(state(world, instance)),
        "LaunchTime": world.created(id_),
        "AmiLaunchIndex": world.value(id_, "index", 0),
        **ALIKE,
        "Placement": {"AvailabilityZone": subnet.zone, "GroupName": "", "Tenancy": "default"},
        "PrivateIpAddress": address,
        "PrivateDnsName": f"ip-{address.replace('.', '-')}.{domain}",
        "PublicDnsName": "",
        "SubnetId": world.id("subnet", instance.vpc, instance.subnet),
        "VpcId": world.id("vpc", instance.vpc),
        "SecurityGroups": groups(world, primary),
        "SourceDestCheck": primary.source_destination_check,
        "NetworkInterfaces": [_interface(world, each.name) for each in interfaces],
        "MetadataOptions": {
            "State": "applied",
            "HttpEndpoint": "enabled" if metadata.enabled else "disabled",
            "HttpTokens": "required" if metadata.token_required else "optional",
            "HttpPutResponseHopLimit": metadata.hop_limit,
        },
        "Tags": world.tags(id_),
    }
    if instance.placement_group:
        row["Placement"]["GroupName"] = instance.placement_group
    if subnet.outpost is not None:
        row["OutpostArn"] = world.outpost_arn(subnet.outpost)
    if public := association(world, primary, address).get("PublicIp"):
        row["PublicIpAddress"] = public
    for key, member in (("key", "KeyName"), ("profile", "IamInstanceProfile")):
        if given := world.value(id_, key):
            row[member] = given
    return row


def _interface(world: World, name: str) -> dict[str, Any]:
    interface = world.topology.network_interfaces[name]
    row = describe_interface(world, interface)
    row.pop("TagSet")
    return {**row, "Attachment": attachment(world, interface)}


def _terminated(world: World) -> list[dict[str, Any]]:
    now = time.time()
    return [
        {
            **{
                key: value
                for key, value in entry.get("values", {}).items()
                if key != "ReservationId"
            },
            "InstanceId": id_,
            "State": state_of("terminated"),
        }
        for id_, entry in world.records.items()
        if id_.startswith("i-") and now - entry.get("deleted", 0) < KEPT_S
    ]


@looks("DescribeInstances")
def describe_instances(ask: Ask) -> Result:
    """Describe instances, by the reservation that launched them."""
    world = ask.world
    rows = [describe(world, instance) for instance in world.topology.instances.values()]
    rows += _terminated(world)
    if wanted := ask.get("InstanceIds"):
        known = {row["InstanceId"] for row in rows}
        for id_ in wanted:
            if id_ not in known:
                raise missing(KIND, id_)
        rows = [row for row in rows if row["InstanceId"] in wanted]
    rows = _filtered(ask, rows)
    reservations: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        own = id_of("reservation", row["InstanceId"])
        reservations.setdefault(world.value(row["InstanceId"], "reservation", own), []).append(row)
    found = [
        {"ReservationId": id_, "OwnerId": ACCOUNT, "Groups": [], "Instances": instances}
        for id_, instances in reservations.items()
    ]
    return {"Reservations": found}


def _filtered(ask: Ask, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the instances that the filters are about: they are those of instances' members."""
    inner = Ask("RunInstances", {"Filters": ask.get("Filters") or []}, ask.world)
    return select(inner, rows, "Instances", aliases=ALIASES)


@looks("DescribeInstanceStatus")
def describe_instance_status(ask: Ask) -> Result:
    """Describe whether instances run, and are reached."""
    rows = []
    for instance in ask.world.topology.instances.values():
        name = state(ask.world, instance)
        if name == "running" or ask.get("IncludeAllInstances"):
            ok = {"running": "ok", "pending": "initializing"}.get(name, "not-applicable")
            status = {"Status": ok, "Details": []}
            subnet = ask.world.topology.subnet(instance.vpc, instance.subnet)
            rows.append(
                {
                    "InstanceId": ask.world.id(KIND, instance.name),
                    "AvailabilityZone": subnet.zone,
                    "InstanceState": state_of(name),
                    "InstanceStatus": status,
                    "SystemStatus": status,
                    "Events": [],
                }
            )
    key = "InstanceStatuses"
    aliases = {
        "instance-state-name": "InstanceState.Name",
        "instance-status.status": "InstanceStatus.Status",
        "system-status.status": "SystemStatus.Status",
    }
    ids = ("InstanceIds", "InstanceId", KIND)
    return {key: select(ask, rows, key, ids=ids, aliases=aliases)}


@changes("RunInstances")
def run_instances(ask: Ask) -> Work:
    """Run instances in a subnet."""
    made = launch(ask)

    def answer(world: World) -> Result:
        instances = [describe(world, world.topology.instances[name]) for name in made.names]
        id_ = made.reservation
        return {"ReservationId": id_, "OwnerId": ACCOUNT, "Groups": [], "Instances": instances}

    return Work(change=made.change, creates=made.creates, starts=made.starts, answer=answer)


def _change_of_state(ask: Ask, key: str, after: str, change: Any, **how: Any) -> Work:
    names = ask.all_names(KIND, "InstanceIds")
    instances = [ask.world.topology.instances[name] for name in names]
    rows = [
        {
            "InstanceId": ask.world.id(KIND, instance.name),
            "PreviousState": state_of(state(ask.world, instance)),
            "CurrentState": state_of(after),
        }
        for instance in instances
    ]
    return Work(change=edit(change(instances=names)), answer=lambda _: {key: rows}, **how)


@changes("StartInstances")
def start_instances(ask: Ask) -> Work:
    """Start instances."""
    touches = tuple(ask["InstanceIds"])
    change = editing.start_instances
    return _change_of_state(ask, "StartingInstances", "pending", change, touches=touches)


@changes("StopInstances")
def stop_instances(ask: Ask) -> Work:
    """Stop instances."""
    return _change_of_state(ask, "StoppingInstances", "stopping", editing.stop_instances)


@changes("RebootInstances")
def reboot_instances(ask: Ask) -> Work:
    """Reboot instances: all that runs in them ends, and they come back with their addresses."""
    ids, names = ask["InstanceIds"], ask.all_names(KIND, "InstanceIds")
    for id_, name in zip(ids, names, strict=True):
        now = state(ask.world, ask.world.topology.instances[name])
        if now not in ("running", "pending"):
            message = f"The instance '{id_}' is {now}, not in a state from which it can be rebooted"
            raise ApiError("IncorrectState", message)
    back = [values(id_, **{REBOOTING: None}) for id_ in ids]
    return Work(
        change=edit(editing.stop_instances(instances=names)),
        steps=tuple(values(id_, **{REBOOTING: True}) for id_ in ids),
        then=edit(editing.start_instances(instances=names), *back),
        touches=tuple(ids),
        answer=DONE,
    )


@changes("TerminateInstances")
def terminate_instances(ask: Ask) -> Work:
    """Terminate instances, and the network interfaces that were made with them."""
    world = ask.world
    gone = {id_: world.records.get(id_, {}) for id_ in ask["InstanceIds"]}
    already = [id_ for id_, entry in gone.items() if entry.get("deleted")]
    if already and len(already) == len(gone):
        rows = [
            {
                "InstanceId": id_,
                "PreviousState": state_of("terminated"),
                "CurrentState": state_of("terminated"),
            }
            for id_ in already
        ]
        return Work(answer=lambda _: {"TerminatingInstances": rows})
    last = {}
    for id_ in ask["InstanceIds"]:
        name = ask.find(KIND, id_)[-1]
        if world.value(id_, "protected"):
            message = (
                f"The instance '{id_}' may not be terminated. Modify its 'disableApiTermination'"
                " instance attribute and try again."
            )
            raise ApiError("OperationNotPermitted", message)
        instance = world.topology.instances[name]
        last[id_] = {
            "InstanceType": instance.type,
            "reservation": world.value(id_, "reservation"),
            "ImageId": world.value(id_, "image"),
        }
    change = editing.terminate_instances
    return _change_of_state(ask, "TerminatingInstances", "shutting-down", change, deletes=last)
