"""Network interfaces and their private addresses."""

from __future__ import annotations

from testbed.topology.editing.arguments import only_known, without
from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.kinds import INSTANCE, NETWORK_INTERFACE
from testbed.topology.editing.named import Kind, add, change, entries, remove, require
from testbed.topology.editing.tree import Data

AUTO = "auto"


@operation
def create_network_interface(
    data: Data,
    *,
    network_interface: str,
    subnet: str,
    private_ip_address: str | None = None,
    secondary_private_ip_addresses: list[str] | None = None,
    ipv6_address: str | None = None,
    groups: list[str] | None = None,
) -> Data:
    """Create a network interface that is not attached."""
    values = {
        "subnet": subnet,
        "address": private_ip_address,
        "secondary_addresses": secondary_private_ip_addresses,
        "ipv6_address": ipv6_address,
        "security_groups": groups,
    }
    return add(data, NETWORK_INTERFACE, (network_interface,), values)


@operation
def delete_network_interface(data: Data, *, network_interface: str) -> Data:
    """Delete a network interface that is not attached."""
    if require(data, NETWORK_INTERFACE, network_interface).get("instance") is not None:
        message = f"Network interface '{network_interface}' is currently in use."
        path = (*NETWORK_INTERFACE.path(network_interface), "instance")
        raise EditError("InvalidParameterValue", message, path, "detach it first")
    return remove(data, NETWORK_INTERFACE, network_interface)


@operation
def attach_network_interface(
    data: Data, *, network_interface: str, instance: str, device_index: int | None = None
) -> Data:
    """Attach a network interface to an instance, by default at the first free index."""
    require(data, INSTANCE, instance)
    owner = require(data, NETWORK_INTERFACE, network_interface).get("instance")
    if owner is not None:
        message = f"Interface: [{network_interface}] in use."
        path = (*NETWORK_INTERFACE.path(network_interface), "instance")
        raise EditError("InvalidNetworkInterface.InUse", message, path, f"detach it from {owner}")
    values = {"instance": instance, "device_index": device_index}
    return change(data, NETWORK_INTERFACE, (network_interface,), values)


@operation
def detach_network_interface(data: Data, *, network_interface: str) -> Data:
    """Detach a network interface from its instance; it keeps its addresses."""
    if require(data, NETWORK_INTERFACE, network_interface).get("instance") is None:
        message = f"The interface attachment of '{network_interface}' does not exist."
        path = (*NETWORK_INTERFACE.path(network_interface), "instance")
        raise EditError("InvalidAttachmentID.NotFound", message, path)
    values = {"instance": None, "device_index": None}
    return change(data, NETWORK_INTERFACE, (network_interface,), values)


@operation
def modify_network_interface_attribute(
    data: Data,
    *,
    network_interface: str,
    source_dest_check: bool | None = None,
    groups: list[str] | None = None,
) -> Data:
    """Change a network interface's source/destination check or security groups.

    An instance's name is that of its primary interface.
    """
    kind = kind_of(data, network_interface)
    values = {"source_destination_check": source_dest_check, "security_groups": groups}
    given = {key: value for key, value in values.items() if value is not None}
    return change(data, kind, (network_interface,), given)


@operation
def assign_private_ip_addresses(
    data: Data, *, network_interface: str, private_ip_addresses: list[str]
) -> Data:
    """Give a network interface secondary private addresses."""
    kind = kind_of(data, network_interface)
    there = require(data, kind, network_interface).get("secondary_addresses", [])
    more = without(private_ip_addresses, there)
    return change(data, kind, (network_interface,), {"secondary_addresses": [*there, *more]})


@operation
def unassign_private_ip_addresses(
    data: Data, *, network_interface: str, private_ip_addresses: list[str]
) -> Data:
    """Remove secondary private addresses, and Elastic IPs on them, from a network interface."""
    kind = kind_of(data, network_interface)
    entry = require(data, kind, network_interface)
    there = entry.get("secondary_addresses", [])
    message = f"Some of [{{}}] are not assigned to interface {network_interface}"
    path = (*kind.path(network_interface), "secondary_addresses")
    only_known(there, private_ip_addresses, EditError("InvalidParameterValue", message, path))
    public = entry.get("elastic_ips", {})
    kept = {key: value for key, value in public.items() if key not in private_ip_addresses}
    values = {
        "secondary_addresses": without(there, private_ip_addresses),
        "elastic_ips": kept,
    }
    return change(data, kind, (network_interface,), values)


@operation
def assign_ipv6_addresses(data: Data, *, network_interface: str, ipv6_address: str = AUTO) -> Data:
    """Give a network interface its IPv6 address; `auto` is the subnet's first free one."""
    kind = kind_of(data, network_interface)
    if require(data, kind, network_interface).get("ipv6_address") is not None:
        message = f"The interface {network_interface} has an IPv6 address"
        path = (*kind.path(network_interface), "ipv6_address")
        raise EditError("PrivateIpAddressLimitExceeded", message, path, "unassign it first")
    return change(data, kind, (network_interface,), {"ipv6_address": ipv6_address})


@operation
def unassign_ipv6_addresses(data: Data, *, network_interface: str) -> Data:
    """Remove a network interface's IPv6 address."""
    kind = kind_of(data, network_interface)
    if require(data, kind, network_interface).get("ipv6_address") is None:
        message = f"The interface {network_interface} has no IPv6 address"
        path = (*kind.path(network_interface), "ipv6_address")
        raise EditError("InvalidParameterValue", message, path)
    return change(data, kind, (network_interface,), {"ipv6_address": None})


def kind_of(data: Data, network_interface: str) -> Kind:
    """Return what has a network interface: an instance, whose primary one it is, or itself."""
    return INSTANCE if network_interface in entries(data, INSTANCE) else NETWORK_INTERFACE
