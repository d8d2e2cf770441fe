"""What RunInstances makes of its many parameters."""

from __future__ import annotations

import base64
import binascii
import gzip
from dataclasses import dataclass
from typing import Any, Final

from testbed.api.ec2.ecs_agent import container_instances
from testbed.api.ec2.network_interfaces import group_names
from testbed.api.errors import ApiError
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Params, edit
from testbed.topology import editing
from testbed.topology.editing.change import Change

KIND: Final = "instance"
MOST = 100  # instances of a call
LONGEST = 25_600  # characters of user data: 16 KB in base64, and some
NOT_HERE = ("InstanceMarketOptions", "LaunchTemplate", "HibernationOptions", "EnclaveOptions")


@dataclass(frozen=True)
class Launched:
    """What RunInstances leads to; `starts` are (node, script) to be run there."""

    names: list[str]
    reservation: str
    change: Any
    creates: tuple[Created, ...]
    starts: tuple[tuple[str, str], ...]


def launch(ask: Ask) -> Launched:
    """Return what a call of RunInstances leads to."""
    for key in NOT_HERE:
        if ask.get(key) and ask[key] not in ({"Configured": False}, {"Enabled": False}):
            raise ApiError("UnsupportedOperation", f"{key} is not emulated here.")
    if "ImageId" not in ask.parameters:
        raise ApiError("MissingParameter", "The request must contain the parameter ImageId")
    count = ask["MaxCount"]
    if not 1 <= ask["MinCount"] <= count:
        raise ApiError("InvalidParameterValue", "MinCount is from 1 to MaxCount")
    if count > MOST:
        message = f"At most {MOST} instances can be run at once here."
        raise ApiError("InstanceLimitExceeded", message)
    primary, others = _interfaces(ask)
    vpc, subnet = _subnet(ask, primary)
    tags = ask.tags(KIND)
    names = [ask.new_name(KIND, tags.get("Name")) for _ in range(count)]
    parts: list[Change] = [_run(ask, primary, names, f"{vpc}/{subnet}")]
    parts += _public(ask, primary, names, (vpc, subnet))
    creates = _records(ask, names, tags)
    for number, given in enumerate(others):
        for name in names:
            part, made = _more(ask, name, given, f"{vpc}/{subnet}", number)
            parts += part
            creates += made
    script = user_data(ask.get("UserData"))
    parts += container_instances(script, names) if script else []
    starts = tuple((name, script) for name in names) if script else ()
    reservation = id_of("reservation", names[0])
    return Launched(names, reservation, edit(*parts), tuple(creates), starts)


def _interfaces(ask: Ask) -> tuple[Params, list[Params]]:
    """Return what is said of the primary interface, and of the others."""
    given = ask.get("NetworkInterfaces") or []
    primary = [each for each in given if each.get("DeviceIndex", 0) == 0]
    if any("NetworkInterfaceId" in each for each in primary):
        message = "An existing network interface as an instance's primary one is not emulated here."
        raise ApiError("UnsupportedOperation", message)
    if given and ("SubnetId" in ask.parameters or "SecurityGroupIds" in ask.parameters):
        message = (
            "Network interfaces and an instance-level subnet ID or security groups may not be"
            " specified on the same request"
        )
        raise ApiError("InvalidParameterCombination", message)
    return (primary[0] if primary else {}), [each for each in given if each.get("DeviceIndex", 0)]


def _subnet(ask: Ask, primary: Params) -> tuple[str, str]:
    id_ = primary.get("SubnetId") or ask.get("SubnetId")
    if id_ is None:
        message = "No default VPC for this user. GroupName is only supported for a default VPC."
        raise ApiError("VPCIdNotSpecified", message)
    vpc, subnet = ask.find("subnet", id_)
    return vpc, subnet


def _run(ask: Ask, primary: Params, names: list[str], subnet: str) -> Change:
    addresses = primary.get("PrivateIpAddresses") or []
    first = [a["PrivateIpAddress"] for a in addresses if a.get("Primary")]
    others = [a["PrivateIpAddress"] for a in addresses if not a.get("Primary")]
    options = ask.get("MetadataOptions") or {}
    metadata = {
        "http_endpoint": options.get("HttpEndpoint"),
        "http_tokens": options.get("HttpTokens"),
        "http_put_response_hop_limit": options.get("HttpPutResponseHopLimit"),
    }
    given = {key: value for key, value in metadata.items() if value is not None}
    six = primary.get("Ipv6Addresses") or ask.get("Ipv6Addresses") or []
    counted = primary.get("Ipv6AddressCount") or ask.get("Ipv6AddressCount")
    address = primary.get("PrivateIpAddress") or ask.get("PrivateIpAddress")
    return editing.run_instances(
        instances=names,
        subnet=subnet,
        instance_type=ask.get("InstanceType"),
        private_ip_address=address or next(iter(first), None),
        secondary_private_ip_addresses=others or None,
        ipv6_address=six[0]["Ipv6Address"] if six else "auto" if counted else None,
        security_groups=group_names(ask, primary.get("Groups") or ask.get("SecurityGroupIds")),
        placement_group=(ask.get("Placement") or {}).get("GroupName") or None,
        metadata_options=given or None,
    )


def _public(ask: Ask, primary: Params, names: list[str], at: tuple[str, str]) -> list[Change]:
    """Return the changes that give instances public addresses, where they are to have some."""
    default = ask.world.value(ask.world.id("subnet", *at), "MapPublicIpOnLaunch", False)
    if not primary.get("AssociatePublicIpAddress", default):
        return []
    return [editing.associate_address(instance=name, public_ip="auto") for name in names]


def _records(ask: Ask, names: list[str], tags: Params) -> list[Created]:
    profile = ask.get("IamInstanceProfile") or {}
    if name := profile.get("Name"):
        profile = {"Arn": f"arn:aws:iam::123456789012:instance-profile/{name}"}
    made = []
    for index, name in enumerate(names):
        kept = {
            "image": ask["ImageId"],
            "index": index,
            "key": ask.get("KeyName"),
            "profile": profile or None,
            "reservation": id_of("reservation", names[0]),
            "protected": ask.get("DisableApiTermination") or None,
            "user_data": ask.get("UserData"),
            "shutdown": ask.get("InstanceInitiatedShutdownBehavior"),
        }
        values = {key: value for key, value in kept.items() if value is not None}
        made.append(Created(id_of(KIND, name), dict(tags), values))
    return made


def _more(
    ask: Ask, instance: str, given: Params, subnet: str, number: int
) -> tuple[list[Change], list[Created]]:
    """Return what attaches a further interface to an instance, making it where it is new."""
    index = given["DeviceIndex"]
    parts: list[Change] = []
    made: list[Created] = []
    if "NetworkInterfaceId" in given:
        name = ask.find("network-interface", given["NetworkInterfaceId"])[-1]
    else:
        if "SubnetId" in given:
            subnet = "/".join(ask.find("subnet", given["SubnetId"]))
        name = ask.new_name("network-interface", f"{instance}-eth{number + 1}")
        groups = group_names(ask, given.get("Groups"))
        parts.append(
            editing.create_network_interface(
                network_interface=name,
                subnet=subnet,
                private_ip_address=given.get("PrivateIpAddress"),
                groups=groups,
            )
        )
        made.append(Created(id_of("network-interface", name)))
    parts.append(
        editing.attach_network_interface(
            network_interface=name, instance=instance, device_index=index
        )
    )
    return parts, made


def user_data(text: str | None) -> str:
    """Return the script in user data; ApiError where it is none. AWS runs what begins with #!."""
    if not text:
        return ""
    if len(text) > LONGEST:
        message = f"User data is limited to {LONGEST} bytes"
        raise ApiError("InvalidParameterValue", message)
    try:
        raw = base64.b64decode(text, validate=True)
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        script = raw.decode()
    except (binascii.Error, ValueError, OSError, EOFError):
        message = "Invalid BASE64 encoding of user data."
        raise ApiError("InvalidParameterValue", message) from None
    if not script.startswith("#!"):
        message = "User data that is not a script, such as cloud-init's YAML, is not emulated here."
        raise ApiError("UnsupportedOperation", message)
    return script
