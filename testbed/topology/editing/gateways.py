"""NAT gateways, VPC endpoints, peering connections and prefix lists."""

from __future__ import annotations

from typing import Literal

from testbed.plan.json_diff import lookup
from testbed.topology.editing.arguments import only_known, without
from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.kinds import (
    ADDRESS,
    NAT_GATEWAY,
    PREFIX_LIST,
    ROUTE_TABLE,
    SECURITY_GROUP,
    SUBNET,
    VPC,
    VPC_ENDPOINT,
    VPC_PEERING_CONNECTION,
)
from testbed.topology.editing.named import add, change, refusal, remove, require, store
from testbed.topology.editing.tree import Data


@operation
def create_nat_gateway(
    data: Data,
    *,
    vpc: str,
    nat_gateway: str,
    subnet: str,
    allocation: str | None = None,
    private_ip_address: str | None = None,
) -> Data:
    """Create a public NAT gateway in a subnet of the Region.

    Without an allocation its Elastic IP address is one that nobody has.
    """
    require(data, SUBNET, vpc, subnet)
    if allocation is not None:
        require(data, ADDRESS, allocation)
    values = {"subnet": subnet, "elastic_ip": allocation, "address": private_ip_address}
    return add(data, NAT_GATEWAY, (vpc, nat_gateway), values)


@operation
def delete_nat_gateway(data: Data, *, vpc: str, nat_gateway: str) -> Data:
    """Delete a NAT gateway; routes to it become blackholes.

    While there are such routes the document keeps it, as deleted; without them, once more
    deleted, it is forgotten.
    """
    names = (vpc, nat_gateway)
    deleted = require(data, NAT_GATEWAY, *names).get("state") == "deleted"
    if not list(NAT_GATEWAY.uses(data, *names)):
        return remove(data, NAT_GATEWAY, *names)
    if deleted:
        raise refusal(NAT_GATEWAY, NAT_GATEWAY.missing, names, "it is deleted already")
    return change(data, NAT_GATEWAY, names, {"state": "deleted"})


@operation
def create_vpc_endpoint(
    data: Data,
    *,
    vpc: str,
    vpc_endpoint: str,
    service_name: str,
    vpc_endpoint_type: Literal["Gateway", "Interface"] = "Gateway",
    route_tables: list[str] | None = None,
    subnets: list[str] | None = None,
    security_groups: list[str] | None = None,
    private_dns_enabled: bool | None = None,
) -> Data:
    """Create a VPC endpoint for a service of the Region, such as s3 or com.amazonaws.REGION.s3."""
    _known(data, vpc, route_tables or [], subnets or [], security_groups or [])
    region = lookup(data, ("region", "name"))
    values = {
        "service": service_name.removeprefix(f"com.amazonaws.{region}."),
        "type": vpc_endpoint_type.lower(),
        "route_tables": route_tables,
        "subnets": subnets,
        "security_groups": security_groups,
        "private_dns": private_dns_enabled,
    }
    return add(data, VPC_ENDPOINT, (vpc, vpc_endpoint), values)


@operation
def modify_vpc_endpoint(
    data: Data,
    *,
    vpc: str,
    vpc_endpoint: str,
    add_route_tables: list[str] | None = None,
    remove_route_tables: list[str] | None = None,
    add_subnets: list[str] | None = None,
    remove_subnets: list[str] | None = None,
    add_security_groups: list[str] | None = None,
    remove_security_groups: list[str] | None = None,
    private_dns_enabled: bool | None = None,
) -> Data:
    """Change a VPC endpoint's route tables, or its subnets, security groups and names."""
    names = (vpc, vpc_endpoint)
    endpoint = require(data, VPC_ENDPOINT, *names)
    _known(data, vpc, add_route_tables or [], add_subnets or [], add_security_groups or [])
    changes = {
        "route_tables": (add_route_tables, remove_route_tables),
        "subnets": (add_subnets, remove_subnets),
        "security_groups": (add_security_groups, remove_security_groups),
    }
    values: Data = {}
    for key, (more, less) in changes.items():
        if more or less:
            there = endpoint.get(key, [])
            path = (*VPC_ENDPOINT.path(*names), key)
            message = f"The endpoint {vpc_endpoint} has none of {{}}"
            only_known(there, less or [], EditError("InvalidParameter", message, path))
            values[key] = [*without(there, [*(less or []), *(more or [])]), *(more or [])]
    if private_dns_enabled is not None:
        values["private_dns"] = private_dns_enabled
    return change(data, VPC_ENDPOINT, names, values)


@operation
def delete_vpc_endpoints(data: Data, *, vpc: str, vpc_endpoints: list[str]) -> Data:
    """Delete VPC endpoints; the routes to gateway endpoints are deleted, too."""
    for endpoint in vpc_endpoints:
        data = remove(data, VPC_ENDPOINT, vpc, endpoint)
    return data


@operation
def create_vpc_peering_connection(
    data: Data, *, vpc_peering_connection: str, vpc: str, peer_vpc: str
) -> Data:
    """Create a peering connection of two VPCs, accepted at once."""
    require(data, VPC, vpc)
    require(data, VPC, peer_vpc)
    values = {"requester": vpc, "accepter": peer_vpc}
    return add(data, VPC_PEERING_CONNECTION, (vpc_peering_connection,), values)


@operation
def delete_vpc_peering_connection(data: Data, *, vpc_peering_connection: str) -> Data:
    """Delete a peering connection; the routes to it must be deleted first."""
    return remove(data, VPC_PEERING_CONNECTION, vpc_peering_connection)


@operation
def create_managed_prefix_list(
    data: Data, *, prefix_list: str, entries: list[str] | None = None
) -> Data:
    """Create a customer-managed prefix list of CIDR blocks."""
    if prefix_list in lookup(data, ("region", "prefix_lists"), {}):
        raise refusal(PREFIX_LIST, PREFIX_LIST.taken, (prefix_list,), "choose another name")
    return store(data, PREFIX_LIST, (prefix_list,), entries or [])


@operation
def modify_managed_prefix_list(
    data: Data,
    *,
    prefix_list: str,
    add_entries: list[str] | None = None,
    remove_entries: list[str] | None = None,
) -> Data:
    """Add CIDR blocks to a prefix list, and remove others."""
    there = require(data, PREFIX_LIST, prefix_list)
    path = PREFIX_LIST.path(prefix_list)
    message = f"The prefix list {prefix_list} has no entry {{}}"
    only_known(
        there, remove_entries or [], EditError("InvalidPrefixListModification", message, path)
    )
    more = add_entries or []
    kept = [*without(there, [*(remove_entries or []), *more]), *more]
    return store(data, PREFIX_LIST, (prefix_list,), kept)


@operation
def delete_managed_prefix_list(data: Data, *, prefix_list: str) -> Data:
    """Delete a prefix list that no route and no security group rule uses."""
    return remove(data, PREFIX_LIST, prefix_list)


def _known(data: Data, vpc: str, tables: list[str], subnets: list[str], groups: list[str]) -> None:
    """Check that a VPC has what an endpoint is to be in."""
    for kind, names in ((ROUTE_TABLE, tables), (SUBNET, subnets), (SECURITY_GROUP, groups)):
        for name in names:
            require(data, kind, vpc, name)
