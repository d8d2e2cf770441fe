"""Subnets of VPCs, in the Region and on Outposts."""

from __future__ import annotations

from testbed.topology.editing.arguments import without
from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.kinds import ROUTE_TABLE, SUBNET
from testbed.topology.editing.named import add, change, remove, require
from testbed.topology.editing.tree import ANY, Data, find


@operation
def create_subnet(
    data: Data,
    *,
    vpc: str,
    subnet: str,
    cidr_block: str,
    outpost: str | None = None,
    availability_zone: str | None = None,
    ipv6_cidr_block: str | None = None,
) -> Data:
    """Create a subnet: on an Outpost if one is named, otherwise in a zone of the Region."""
    values = {
        "cidr": cidr_block,
        "outpost": outpost,
        "zone": availability_zone,
        "ipv6_cidr": ipv6_cidr_block,
    }
    return add(data, SUBNET, (vpc, subnet), values)


@operation
def delete_subnet(data: Data, *, vpc: str, subnet: str) -> Data:
    """Delete a subnet without network interfaces, and its associations."""
    data = remove(data, SUBNET, vpc, subnet)
    for path, associated in find(data, "vpcs", vpc, "route_tables", ANY, "subnets"):
        if subnet in map(str, associated):
            names = (vpc, str(path[3]))
            data = change(data, ROUTE_TABLE, names, {"subnets": without(associated, [subnet])})
    return data


@operation
def modify_subnet_attribute(
    data: Data,
    *,
    vpc: str,
    subnet: str,
    map_customer_owned_ip_on_launch: bool,
    customer_owned_ipv4_pool: str | None = None,
) -> Data:
    """Change whether each network interface of an Outpost subnet gets a customer-owned address.

    The pool is one of the Outpost's local gateway route table.
    """
    path = (*SUBNET.path(vpc, subnet), "map_customer_owned_ip_on_launch")
    if map_customer_owned_ip_on_launch != (customer_owned_ipv4_pool is not None):
        message = "customerOwnedIpv4Pool goes with mapCustomerOwnedIpOnLaunch, and only with it"
        raise EditError("InvalidParameterCombination", message, path, "give both, or neither")
    values = {"map_customer_owned_ip_on_launch": customer_owned_ipv4_pool}
    return change(data, SUBNET, (vpc, subnet), values)


@operation
def associate_subnet_cidr_block(data: Data, *, vpc: str, subnet: str, ipv6_cidr_block: str) -> Data:
    """Associate an IPv6 CIDR block, a /64 of the VPC's, with a subnet; it can have one."""
    if require(data, SUBNET, vpc, subnet).get("ipv6_cidr") is not None:
        message = f"The subnet '{subnet}' already has an IPv6 CIDR block"
        path = SUBNET.path(vpc, subnet)
        raise EditError("SubnetCidrBlockLimitExceeded", message, path, "disassociate it first")
    return change(data, SUBNET, (vpc, subnet), {"ipv6_cidr": ipv6_cidr_block})


@operation
def disassociate_subnet_cidr_block(data: Data, *, vpc: str, subnet: str) -> Data:
    """Remove a subnet's IPv6 CIDR block."""
    if require(data, SUBNET, vpc, subnet).get("ipv6_cidr") is None:
        message = f"The subnet '{subnet}' has no IPv6 CIDR block association"
        path = SUBNET.path(vpc, subnet)
        raise EditError("InvalidSubnetCidrBlockAssociationID.NotFound", message, path)
    return change(data, SUBNET, (vpc, subnet), {"ipv6_cidr": None})
