"""Attributes of instances: read and changed one by one."""

from __future__ import annotations

from typing import Any, Final

from testbed.api.ec2.launching import user_data
from testbed.api.ec2.network_interfaces import group_names
from testbed.api.errors import ApiError
from testbed.api.operations import DONE, Ask, Result, Work, changes, edit, looks
from testbed.api.records import values
from testbed.topology import editing

KIND: Final = "instance"
PLAIN = {  # attributes that only records have: member, key of the record, what it is without
    "disableApiTermination": ("DisableApiTermination", "protected", False),
    "instanceInitiatedShutdownBehavior": ("InstanceInitiatedShutdownBehavior", "shutdown", "stop"),
    "userData": ("UserData", "user_data", None),
}
FIXED = {
    "disableApiStop": ("DisableApiStop", False),
    "ebsOptimized": ("EbsOptimized", False),
    "enaSupport": ("EnaSupport", True),
    "rootDeviceName": ("RootDeviceName", "/dev/xvda"),
}


@looks("DescribeInstanceAttribute")
def describe_instance_attribute(ask: Ask) -> Result:
    """Describe one attribute of an instance."""
    name, id_ = ask.name(KIND, "InstanceId"), ask["InstanceId"]
    wanted = ask["Attribute"]
    instance = ask.world.topology.instances[name]
    interface = ask.world.topology.network_interfaces[name]
    result: dict[str, Any] = {"InstanceId": id_}
    if wanted in PLAIN:
        member, key, default = PLAIN[wanted]
        value = ask.world.value(id_, key, default)
        result[member] = {} if value is None else {"Value": value}
    elif wanted in FIXED:
        member, value = FIXED[wanted]
        result[member] = {"Value": value}
    elif wanted == "instanceType":
        result["InstanceType"] = {"Value": instance.type}
    elif wanted == "sourceDestCheck":
        result["SourceDestCheck"] = {"Value": interface.source_destination_check}
    elif wanted == "groupSet":
        ids = [ask.world.id("security-group", interface.vpc, g) for g in interface.security_groups]
        result["Groups"] = [{"GroupId": id_} for id_ in ids]
    elif wanted == "blockDeviceMapping":
        result["BlockDeviceMappings"] = []
    else:
        raise ApiError("UnsupportedOperation", f"The attribute {wanted} is not emulated here.")
    return result


@changes("ModifyInstanceAttribute")
def modify_instance_attribute(ask: Ask) -> Work:
    """Change attributes of an instance; AWS takes one in each call."""
    name, id_ = ask.name(KIND, "InstanceId"), ask["InstanceId"]
    given = {k: v.get("Value") for k, v in ask.parameters.items() if isinstance(v, dict)}
    if "Attribute" in ask.parameters:
        word = ask["Attribute"]
        given[word[:1].upper() + word[1:]] = _typed(ask.get("Value"))
    kept = {}
    for member, key, _ in PLAIN.values():
        if member in given:
            kept[key] = given.pop(member) or None
    if isinstance(script := kept.get("user_data"), bytes):
        kept["user_data"] = script.decode("ascii", "replace")
    if "user_data" in kept:
        user_data(kept["user_data"])
    change = editing.modify_instance_attribute(
        instance=name,
        instance_type=given.pop("InstanceType", None),
        source_dest_check=given.pop("SourceDestCheck", None),
        groups=group_names(ask, ask.get("Groups")),
    )
    if given:
        message = f"The attribute {next(iter(given))} cannot be changed here."
        raise ApiError("UnsupportedOperation", message)
    steps = (values(id_, **kept),) if kept else ()
    return Work(change=edit(change), steps=steps, touches=(id_,), answer=lambda _: {})


def _typed(text: str | None) -> Any:
    return {"true": True, "false": False}.get(text or "", text)


@changes("ModifyInstanceMetadataOptions")
def modify_instance_metadata_options(ask: Ask) -> Work:
    """Change how an instance's metadata service is used."""
    change = editing.modify_instance_metadata_options(
        instance=ask.name(KIND, "InstanceId"),
        http_endpoint=ask.get("HttpEndpoint"),
        http_tokens=ask.get("HttpTokens"),
        http_put_response_hop_limit=ask.get("HttpPutResponseHopLimit"),
    )
    keys = ("HttpEndpoint", "HttpTokens", "HttpPutResponseHopLimit")
    options = {"State": "pending"} | {key: ask[key] for key in keys if key in ask.parameters}
    result = {"InstanceId": ask["InstanceId"], "InstanceMetadataOptions": options}
    return Work(change=edit(change), answer=lambda _: result)


@changes("ModifyInstancePlacement")
def modify_instance_placement(ask: Ask) -> Work:
    """Put a stopped instance into a placement group, or take it from its own."""
    name = ask.name(KIND, "InstanceId")
    if "GroupName" not in ask.parameters:
        raise ApiError("UnsupportedOperation", "Only GroupName can be changed here.")
    change = editing.modify_instance_placement(instance=name, group_name=ask["GroupName"] or None)
    return Work(change=edit(change), answer=DONE)


@looks("DescribeInstanceCreditSpecifications")
def describe_instance_credit_specifications(ask: Ask) -> Result:
    """Describe the credits of burstable instances: standard ones."""
    rows = []
    for id_ in ask.get("InstanceIds") or []:
        ask.find(KIND, id_)
        rows.append({"InstanceId": id_, "CpuCredits": "standard"})
    return {"InstanceCreditSpecifications": rows}
