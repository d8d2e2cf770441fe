"""VPCs, their DHCP options, internet gateways and virtual private gateways."""

from __future__ import annotations

from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.kinds import VPC
from testbed.topology.editing.named import add, change, refuse_used, remove, require
from testbed.topology.editing.tree import ANY, Data, find
from testbed.topology.editing.uses import INTERFACES, of_virtual_private_gateway, vpc_of


@operation
def create_vpc(
    data: Data, *, vpc: str, cidr_block: str, ipv6_cidr_block: str | None = None
) -> Data:
    """Create a VPC without security groups: nothing is filtered until it has one."""
    return add(data, VPC, (vpc,), {"cidr": cidr_block, "ipv6_cidr": ipv6_cidr_block})


@operation
def delete_vpc(data: Data, *, vpc: str) -> Data:
    """Delete a VPC that contains nothing but its main route table and defaults."""
    return remove(data, VPC, vpc)


@operation
def modify_vpc_attribute(
    data: Data,
    *,
    vpc: str,
    enable_dns_support: bool | None = None,
    routes_per_route_table: int | None = None,
) -> Data:
    """Change whether a VPC has AWS's resolver, and its quota of routes (Service Quotas)."""
    given = {
        "enable_dns_support": enable_dns_support,
        "routes_per_route_table": routes_per_route_table,
    }
    return change(data, VPC, (vpc,), {k: v for k, v in given.items() if v is not None})


@operation
def associate_vpc_cidr_block(data: Data, *, vpc: str, ipv6_cidr_block: str) -> Data:
    """Associate an IPv6 CIDR block, a /56, with a VPC; it can have one."""
    if (there := require(data, VPC, vpc).get("ipv6_cidr")) is not None:
        message = f"This network '{vpc}' has met its maximum number of allowed CIDRs: 1"
        raise EditError("CidrLimitExceeded", message, VPC.path(vpc), f"disassociate {there}")
    return change(data, VPC, (vpc,), {"ipv6_cidr": ipv6_cidr_block})


@operation
def disassociate_vpc_cidr_block(data: Data, *, vpc: str) -> Data:
    """Remove a VPC's IPv6 CIDR block; refused while a subnet has a part of it."""
    entry = require(data, VPC, vpc)
    path = (*VPC.path(vpc), "ipv6_cidr")
    if entry.get("ipv6_cidr") is None:
        message = f"The vpc {vpc} has no IPv6 CIDR block association"
        raise EditError("InvalidVpcCidrBlockAssociationID.NotFound", message, path)
    for use, _ in find(data, "vpcs", vpc, "subnets", ANY, "ipv6_cidr"):
        message = f"The CIDR block of {vpc} has dependencies: the subnet {use[3]} has a part of it"
        raise EditError("DependencyViolation", message, path, "disassociate the subnet's first")
    return change(data, VPC, (vpc,), {"ipv6_cidr": None})


@operation
def associate_dhcp_options(
    data: Data,
    *,
    vpc: str,
    domain_name: str | None = None,
    domain_name_servers: list[str] | None = None,
) -> Data:
    """Change a VPC's DHCP option set; without values, to AWS's default one."""
    given = {"domain_name": domain_name, "domain_name_servers": domain_name_servers}
    return change(data, VPC, (vpc,), {("dhcp_options", key): value for key, value in given.items()})


@operation
def attach_internet_gateway(data: Data, *, vpc: str) -> Data:
    """Attach an internet gateway to a VPC; it can have one."""
    if require(data, VPC, vpc).get("internet_gateway"):
        message = f"Network {vpc} already has an internet gateway attached"
        raise EditError("InvalidParameterValue", message, (*VPC.path(vpc), "internet_gateway"))
    return change(data, VPC, (vpc,), {"internet_gateway": True})


@operation
def detach_internet_gateway(data: Data, *, vpc: str) -> Data:
    """Detach a VPC's internet gateway; refused while an Elastic IP address needs it."""
    path = (*VPC.path(vpc), "internet_gateway")
    if not require(data, VPC, vpc).get("internet_gateway"):
        raise EditError("Gateway.NotAttached", f"no gateway is attached to network {vpc}", path)
    for group in INTERFACES:
        for use, entry in find(data, group, ANY):
            public = entry.get("elastic_ip") or entry.get("elastic_ips")
            if public and vpc_of(data, entry.get("subnet")) == vpc:
                message = (
                    f"Network {vpc} has some mapped public address(es). Please unmap those public"
                    " address(es) before detaching the gateway."
                )
                remedy = f"disassociate the address of {use[1]}"
                raise EditError("DependencyViolation", message, path, remedy)
    return change(data, VPC, (vpc,), {"internet_gateway": None})


@operation
def create_egress_only_internet_gateway(data: Data, *, vpc: str) -> Data:
    """Create an egress-only internet gateway, for IPv6, in a VPC; it can have one."""
    if require(data, VPC, vpc).get("egress_only_internet_gateway"):
        path = (*VPC.path(vpc), "egress_only_internet_gateway")
        message = f"Network {vpc} already has an egress-only internet gateway attached"
        raise EditError("InvalidParameterValue", message, path)
    return change(data, VPC, (vpc,), {"egress_only_internet_gateway": True})


@operation
def delete_egress_only_internet_gateway(data: Data, *, vpc: str) -> Data:
    """Delete a VPC's egress-only internet gateway."""
    if not require(data, VPC, vpc).get("egress_only_internet_gateway"):
        path = (*VPC.path(vpc), "egress_only_internet_gateway")
        message = f"The eigw ID of the vpc '{vpc}' does not exist"
        raise EditError("InvalidGatewayID.NotFound", message, path)
    return change(data, VPC, (vpc,), {"egress_only_internet_gateway": None})


@operation
def attach_vpn_gateway(data: Data, *, vpc: str, amazon_side_asn: int | None = None) -> Data:
    """Attach a virtual private gateway to a VPC, with its ASN (64512 by default)."""
    if require(data, VPC, vpc).get("virtual_private_gateway") is not None:
        path = (*VPC.path(vpc), "virtual_private_gateway")
        message = f"The vpc '{vpc}' already has a virtual private gateway attached to it"
        raise EditError("VpnGatewayAttachmentLimitExceeded", message, path, "detach it first")
    gateway = {} if amazon_side_asn is None else {"asn": amazon_side_asn}
    return change(data, VPC, (vpc,), {"virtual_private_gateway": gateway})


@operation
def detach_vpn_gateway(data: Data, *, vpc: str) -> Data:
    """Detach a VPC's virtual private gateway; refused while virtual interfaces end in it."""
    path = (*VPC.path(vpc), "virtual_private_gateway")
    if require(data, VPC, vpc).get("virtual_private_gateway") is None:
        message = f"The attachment of a vpn gateway and the vpc ID '{vpc}' does not exist"
        raise EditError("InvalidVpnGatewayAttachment.NotFound", message, path)
    message = f"The virtual private gateway of {vpc} has virtual interfaces and cannot be detached"
    error = EditError("DependencyViolation", message, path)
    refuse_used(of_virtual_private_gateway(data, vpc), error)
    return change(data, VPC, (vpc,), {"virtual_private_gateway": None})
