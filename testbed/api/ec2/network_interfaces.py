"""Network interfaces: instances' primary ones, others, and those that AWS made for its own."""

from __future__ import annotations

from typing import Any, Final

from testbed.api.ec2.addresses import allocation_id
from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import attachment_id, id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks, missing
from testbed.api.records import values
from testbed.api.world import World
from testbed.lower.vpc.interfaces import mac
from testbed.topology import editing
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import NetworkInterface

KIND: Final = "network-interface"
ATTACHMENT: Final = "network-interface-attachment"
ALIASES = {
    "addresses.private-ip-address": "PrivateIpAddresses.PrivateIpAddress",
    "addresses.primary": "PrivateIpAddresses.Primary",
    "addresses.association.public-ip": "PrivateIpAddresses.Association.PublicIp",
    "group-id": "Groups.GroupId",
    "group-name": "Groups.GroupName",
    "ipv6-addresses.ipv6-address": "Ipv6Addresses.Ipv6Address",
}


def groups(world: World, interface: NetworkInterface) -> list[dict[str, str]]:
    """Return the security groups of an interface as answers have them."""
    found = []
    for name in interface.security_groups:
        id_ = world.id("security-group", interface.vpc, name)
        found.append({"GroupId": id_, "GroupName": world.value(id_, "name", name)})
    return found


def association(world: World, interface: NetworkInterface, private: str) -> dict[str, Any]:
    """Return what stands for a private address outside, as answers have it; empty: nothing."""
    row: dict[str, Any] = {}
    for inner, public in interface.elastic_ips:
        if str(inner) == private:
            id_ = allocation_id(world, interface, str(public))
            row = {"PublicIp": str(public), "AllocationId": id_, "IpOwnerId": ACCOUNT}
    if interface.customer_owned_ip is not None and private == str(interface.address):
        row |= {"CustomerOwnedIp": str(interface.customer_owned_ip), "IpOwnerId": ACCOUNT}
    return row


def describe(world: World, interface: NetworkInterface) -> dict[str, Any]:
    """Return a network interface as answers have it."""
    id_ = world.id(KIND, interface.name)
    subnet = world.topology.subnet(interface.vpc, interface.subnet)
    addresses = []
    for address in map(str, interface.addresses):
        row: dict[str, Any] = {"PrivateIpAddress": address}
        row["Primary"] = address == str(interface.address)
        if found := association(world, interface, address):
            row["Association"] = found
        addresses.append(row)
    attached = interface.instance is not None or interface.requester is not None
    six = [{"Ipv6Address": str(interface.ipv6_address)}] if interface.ipv6_address else []
    result: dict[str, Any] = {
        "NetworkInterfaceId": id_,
        "SubnetId": world.id("subnet", interface.vpc, interface.subnet),
        "VpcId": world.id("vpc", interface.vpc),
        "AvailabilityZone": subnet.zone,
        "Description": world.value(id_, "description", ""),
        "Groups": groups(world, interface),
        "InterfaceType": "interface",
        "Ipv6Addresses": six,
        "MacAddress": mac(interface),
        "OwnerId": ACCOUNT,
        "PrivateIpAddress": str(interface.address),
        "PrivateIpAddresses": addresses,
        "RequesterManaged": interface.requester is not None,
        "SourceDestCheck": interface.source_destination_check,
        "Status": "in-use" if attached else "available",
        "TagSet": world.tags(id_),
    }
    if addresses[0].get("Association"):
        result["Association"] = addresses[0]["Association"]
    if subnet.outpost is not None and interface.requester is None:
        result["OutpostArn"] = world.outpost_arn(subnet.outpost)
    if interface.requester is not None:
        result["InterfaceType"] = interface.requester.kind.replace("-", "_")
        result["RequesterId"] = "amazon-elb"
    if interface.instance is not None:
        result["Attachment"] = attachment(world, interface)
    return result


def attachment(world: World, interface: NetworkInterface) -> dict[str, Any]:
    """Return an interface's attachment as answers have it."""
    assert interface.instance
    primary = interface.device_index == 0
    id_ = world.id("instance", interface.instance)
    return {
        "AttachmentId": attachment_id(interface),
        "AttachTime": world.created(id_),
        "DeleteOnTermination": primary,
        "DeviceIndex": interface.device_index,
        "NetworkCardIndex": 0,
        "InstanceId": id_,
        "InstanceOwnerId": ACCOUNT,
        "Status": "attached",
    }


@looks("DescribeNetworkInterfaces")
def describe_network_interfaces(ask: Ask) -> Result:
    """Describe network interfaces."""
    found = ask.world.topology.network_interfaces.values()
    rows = [describe(ask.world, interface) for interface in found]
    key = "NetworkInterfaces"
    ids = ("NetworkInterfaceIds", "NetworkInterfaceId", KIND)
    return {key: select(ask, rows, key, ids=ids, aliases=ALIASES)}


def own(ask: Ask, key: str = "NetworkInterfaceId") -> NetworkInterface:
    """Return the interface that a parameter identifies; not one that AWS made for its own."""
    interface = ask.world.topology.network_interfaces[ask.name(KIND, key)]
    if interface.requester is not None:
        message = "You do not have permission to access the specified resource."
        raise ApiError("AuthFailure", message)
    return interface


def group_names(ask: Ask, given: list[str] | None) -> list[str] | None:
    """Return the names of security groups; None where a call has none."""
    return [ask.find("security-group", id_)[-1] for id_ in given] if given else None


@changes("CreateNetworkInterface")
def create_network_interface(ask: Ask) -> Work:
    """Create a network interface that is not attached."""
    vpc, subnet = ask.names("subnet", "SubnetId")
    addresses = ask.get("PrivateIpAddresses") or []
    first = [a["PrivateIpAddress"] for a in addresses if a.get("Primary")]
    others = [a["PrivateIpAddress"] for a in addresses if not a.get("Primary")]
    if ask.get("SecondaryPrivateIpAddressCount"):
        others += free_addresses(ask, vpc, subnet, ask["SecondaryPrivateIpAddressCount"])
    six = [each["Ipv6Address"] for each in ask.get("Ipv6Addresses") or []]
    tags = ask.tags(KIND)
    name = ask.new_name(KIND, tags.get("Name"))
    change = editing.create_network_interface(
        network_interface=name,
        subnet=f"{vpc}/{subnet}",
        private_ip_address=ask.get("PrivateIpAddress") or next(iter(first), None),
        secondary_private_ip_addresses=others or None,
        ipv6_address=six[0] if six else "auto" if ask.get("Ipv6AddressCount") else None,
        groups=group_names(ask, ask.get("Groups")),
    )

    def answer(world: World) -> Result:
        row = describe(world, world.topology.network_interfaces[name])
        return {"NetworkInterface": row}

    made = Created(id_of(KIND, name), tags, {"description": ask.get("Description", "")})
    return Work(change=edit(change), creates=(made,), answer=answer)


def free_addresses(ask: Ask, vpc: str, subnet: str, count: int) -> list[str]:
    """Return the last addresses of a subnet that nothing has; the first are given out by .4."""
    used = {
        address
        for interface in ask.world.topology.network_interfaces.values()
        if (interface.vpc, interface.subnet) == (vpc, subnet)
        for address in interface.addresses
    }
    cidr = ask.world.topology.subnet(vpc, subnet).cidr
    numbers = range(int(cidr.broadcast_address) - 1, int(cidr.network_address) + 3, -1)
    free = (cidr.network_address + (n - int(cidr.network_address)) for n in numbers)
    found: list[str] = []
    for address in free:
        if len(found) == count:
            return found
        if address not in used and str(address) not in ask.taken:
            found.append(str(address))
            ask.taken.add(str(address))
    if len(found) == count:
        return found
    message = "The specified subnet does not have enough free addresses to satisfy the request."
    raise ApiError("InsufficientFreeAddressesInSubnet", message)


@changes("DeleteNetworkInterface")
def delete_network_interface(ask: Ask) -> Work:
    """Delete a network interface that is not attached."""
    interface = own(ask)
    if interface.device_index == 0 and interface.instance:
        message = f"Network interface '{ask['NetworkInterfaceId']}' is currently in use."
        raise ApiError("InvalidParameterValue", message)
    change = editing.delete_network_interface(network_interface=interface.name)
    return Work(change=edit(change), deletes={ask["NetworkInterfaceId"]: {}}, answer=lambda _: {})


@changes("AttachNetworkInterface")
def attach_network_interface(ask: Ask) -> Work:
    """Attach a network interface to an instance."""
    interface, instance = own(ask), ask.name("instance", "InstanceId")
    change = editing.attach_network_interface(
        network_interface=interface.name, instance=instance, device_index=ask["DeviceIndex"]
    )

    def answer(world: World) -> Result:
        id_ = attachment_id(world.topology.network_interfaces[interface.name])
        return {"AttachmentId": id_, "NetworkCardIndex": 0}

    return Work(change=edit(change), touches=(ask["NetworkInterfaceId"],), answer=answer)


@changes("DetachNetworkInterface")
def detach_network_interface(ask: Ask) -> Work:
    """Detach a network interface that is not an instance's primary one."""
    for interface in ask.world.topology.network_interfaces.values():
        if interface.instance and attachment_id(interface) == ask["AttachmentId"]:
            if interface.device_index == 0:
                message = "The network interface at device index 0 cannot be detached."
                raise ApiError("OperationNotPermitted", message)
            change = editing.detach_network_interface(network_interface=interface.name)
            return Work(change=edit(change), answer=lambda _: {})
    raise missing(ATTACHMENT, ask["AttachmentId"])


@changes("ModifyNetworkInterfaceAttribute")
def modify_network_interface_attribute(ask: Ask) -> Work:
    """Change an interface's check, groups or description."""
    interface = own(ask)
    steps = ()
    if "Description" in ask.parameters:
        text = ask["Description"].get("Value", "")
        steps = (values(ask["NetworkInterfaceId"], description=text),)  # type: ignore[assignment]
    change = editing.modify_network_interface_attribute(
        network_interface=interface.name,
        source_dest_check=ask.get("SourceDestCheck", {}).get("Value"),
        groups=group_names(ask, ask.get("Groups")),
    )
    touches = (ask["NetworkInterfaceId"],)
    return Work(change=edit(change), steps=steps, touches=touches, answer=lambda _: {})


@changes("AssignPrivateIpAddresses")
def assign_private_ip_addresses(ask: Ask) -> Work:
    """Give an interface secondary private addresses."""
    interface = own(ask)
    wanted = list(ask.get("PrivateIpAddresses") or [])
    if count := ask.get("SecondaryPrivateIpAddressCount"):
        wanted += free_addresses(ask, interface.vpc, interface.subnet, count)
    change = editing.assign_private_ip_addresses(
        network_interface=interface.name, private_ip_addresses=wanted
    )
    rows = [{"PrivateIpAddress": address} for address in wanted]
    result = {
        "NetworkInterfaceId": ask["NetworkInterfaceId"],
        "AssignedPrivateIpAddresses": rows,
    }
    touches = (ask["NetworkInterfaceId"],)
    return Work(change=edit(change), touches=touches, answer=lambda _: result)


@changes("UnassignPrivateIpAddresses")
def unassign_private_ip_addresses(ask: Ask) -> Work:
    """Take secondary private addresses from an interface."""
    change = editing.unassign_private_ip_addresses(
        network_interface=own(ask).name, private_ip_addresses=ask["PrivateIpAddresses"]
    )
    return Work(change=edit(change), touches=(ask["NetworkInterfaceId"],), answer=lambda _: {})


@changes("AssignIpv6Addresses")
def assign_ipv6_addresses(ask: Ask) -> Work:
    """Give an interface its IPv6 address."""
    interface = own(ask)
    wanted = ask.get("Ipv6Addresses") or ["auto"]
    if len(wanted) > 1 or ask.get("Ipv6AddressCount", 1) != 1:
        message = "A network interface has one IPv6 address here."
        raise ApiError("UnsupportedOperation", message)
    change = editing.assign_ipv6_addresses(network_interface=interface.name, ipv6_address=wanted[0])

    def answer(world: World) -> Result:
        made = world.topology.network_interfaces[interface.name].ipv6_address
        id_ = ask["NetworkInterfaceId"]
        return {"NetworkInterfaceId": id_, "AssignedIpv6Addresses": [str(made)]}

    return Work(change=edit(change), touches=(ask["NetworkInterfaceId"],), answer=answer)


@changes("UnassignIpv6Addresses")
def unassign_ipv6_addresses(ask: Ask) -> Work:
    """Take an interface's IPv6 address away."""
    change = editing.unassign_ipv6_addresses(network_interface=own(ask).name)
    gone = ask.get("Ipv6Addresses", [])
    result = {"NetworkInterfaceId": ask["NetworkInterfaceId"], "UnassignedIpv6Addresses": gone}
    return Work(change=edit(change), answer=lambda _: result)
