"""The kinds of named objects, with the codes and words in which AWS refuses to touch them.

The codes are those of EC2's list of errors (AWS: Error codes for the Amazon EC2 API), of
Outposts' and Route 53's models, and what Terraform and CloudFormation test for (TF, CF).
"""

from __future__ import annotations

from testbed.topology.editing import implied, uses
from testbed.topology.editing.named import Kind, Said
from testbed.topology.editing.tree import ANY


def _no(noun: str) -> Said:
    """Say that there is no such object; AWS has no code for what is not AWS's."""
    return None, f"there is no {noun} named '{{name}}'"


VPC = Kind(
    "VPC",
    ("vpcs",),
    missing=("InvalidVpcID.NotFound", "The vpc ID '{name}' does not exist"),
    in_use=("DependencyViolation", "The vpc '{name}' has dependencies and cannot be deleted."),
    uses=uses.of_vpc,
)
SUBNET = Kind(
    "subnet",
    ("vpcs", ANY, "subnets"),
    missing=("InvalidSubnetID.NotFound", "The subnet ID '{name}' does not exist"),
    owner=VPC,
    uses=uses.of_subnet,
)
ROUTE_TABLE = Kind(
    "route table",
    ("vpcs", ANY, "route_tables"),
    missing=("InvalidRouteTableID.NotFound", "The routeTable ID '{name}' does not exist"),
    in_use=(
        "DependencyViolation",
        "The routeTable '{name}' has dependencies and cannot be deleted.",
    ),
    owner=VPC,
    uses=uses.of_route_table,
    implied=implied.route_tables,
)
SECURITY_GROUP = Kind(
    "security group",
    ("vpcs", ANY, "security_groups"),
    missing=("InvalidGroup.NotFound", "The security group '{name}' does not exist"),
    taken=(
        "InvalidGroup.Duplicate",
        "The security group '{name}' already exists for VPC '{owner}'",
    ),
    in_use=("DependencyViolation", "resource {name} has a dependent object"),
    owner=VPC,
    uses=uses.of_security_group,
    implied=implied.security_groups,
)
NETWORK_ACL = Kind(
    "network ACL",
    ("vpcs", ANY, "network_acls"),
    missing=("InvalidNetworkAclID.NotFound", "The networkAcl ID '{name}' does not exist"),
    in_use=(
        "DependencyViolation",
        "The networkAcl '{name}' has dependencies and cannot be deleted.",
    ),
    owner=VPC,
    uses=uses.of_network_acl,
    implied=implied.network_acls,
)
NAT_GATEWAY = Kind(
    "NAT gateway",
    ("vpcs", ANY, "nat_gateways"),
    missing=("NatGatewayNotFound", "NatGateway {name} was not found"),
    owner=VPC,
    uses=uses.of_nat_gateway,
)
VPC_ENDPOINT = Kind(
    "VPC endpoint",
    ("vpcs", ANY, "endpoints"),
    missing=("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '{name}' does not exist"),
    owner=VPC,
)
PREFIX_LIST = Kind(
    "prefix list",
    ("region", "prefix_lists"),
    missing=("InvalidPrefixListID.NotFound", "The prefix list ID '{name}' does not exist"),
    uses=uses.of_prefix_list,
)
VPC_PEERING_CONNECTION = Kind(
    "VPC peering connection",
    ("region", "vpc_peering_connections"),
    missing=(
        "InvalidVpcPeeringConnectionID.NotFound",
        "The vpcPeeringConnection ID '{name}' does not exist",
    ),
    uses=uses.of_vpc_peering_connection,
)
TRANSIT_GATEWAY = Kind(
    "transit gateway",
    ("region", "transit_gateways"),
    missing=(
        "InvalidTransitGatewayID.NotFound",
        "Transit Gateway {name} was deleted or does not exist.",
    ),
    in_use=("IncorrectState", "{name} has non-deleted Transit Gateway Attachments."),
    uses=uses.of_transit_gateway,
)
TRANSIT_GATEWAY_ATTACHMENT = Kind(
    "transit gateway attachment",
    ("region", "transit_gateways", ANY, "attachments"),
    missing=(
        "InvalidTransitGatewayAttachmentID.NotFound",
        "Transit Gateway Attachment {name} was deleted or does not exist.",
    ),
    owner=TRANSIT_GATEWAY,
)
TRANSIT_GATEWAY_ROUTE_TABLE = Kind(
    "transit gateway route table",
    ("region", "transit_gateways", ANY, "route_tables"),
    missing=(
        "InvalidRouteTableID.NotFound",
        "Transit Gateway Route Table {name} was deleted or does not exist.",
    ),
    in_use=("IncorrectState", "{name} has non-deleted associations"),
    owner=TRANSIT_GATEWAY,
    uses=uses.of_transit_gateway_route_table,
    implied=implied.transit_route_tables,
    whole=True,
)
INSTANCE = Kind(
    "instance",
    ("instances",),
    missing=("InvalidInstanceID.NotFound", "The instance ID '{name}' does not exist"),
    uses=uses.of_instance,
)
NETWORK_INTERFACE = Kind(
    "network interface",
    ("network_interfaces",),
    missing=(
        "InvalidNetworkInterfaceID.NotFound",
        "The networkInterface ID '{name}' does not exist",
    ),
    uses=uses.of_network_interface,
)
PROCESS = Kind(
    "process",
    ("instances", ANY, "processes"),
    missing=_no("process"),
    owner=INSTANCE,
)
PLACEMENT_GROUP = Kind(
    "placement group",
    ("placement_groups",),
    missing=("InvalidPlacementGroup.Unknown", "The Placement Group '{name}' is unknown."),
    taken=("InvalidPlacementGroup.Duplicate", "The placement group '{name}' already exists."),
    in_use=(
        "InvalidPlacementGroup.InUse",
        "The placement group '{name}' is in use and may not be deleted.",
    ),
    uses=uses.of_placement_group,
)
LAYER2_SERVICE = Kind(
    "layer-2 service",
    ("layer2_services",),
    missing=_no("layer-2 service"),
)
HOSTED_ZONE = Kind(
    "hosted zone",
    ("hosted_zones",),
    missing=("NoSuchHostedZone", "No hosted zone found with ID: {name}"),
    taken=("ConflictingDomainExists", "The hosted zone {name} exists already."),
)
OUTPOST = Kind(
    "Outpost",
    ("outposts",),
    missing=("NotFoundException", "Outpost {name} not found"),
    taken=("ConflictException", "The Outpost {name} exists already"),
    in_use=("ConflictException", "The Outpost {name} has resources and cannot be deleted"),
    uses=uses.of_outpost,
)
LOCAL_GATEWAY_ROUTE_TABLE = Kind(  # a rack has one, which goes by the Outpost's name
    "local gateway route table",
    ("outposts",),
    missing=(
        "InvalidLocalGatewayRouteTableID.NotFound",
        "The local gateway route table ID '{name}' does not exist",
    ),
)
ROUTING_DOMAIN = Kind(  # whose route table is OUTPOST/DOMAIN
    "routing domain",
    ("outposts", ANY, "local_gateway", "routing_domains"),
    missing=(
        "InvalidLocalGatewayRouteTableID.NotFound",
        "The local gateway route table ID '{owner}/{name}' does not exist",
    ),
    owner=LOCAL_GATEWAY_ROUTE_TABLE,
)
COIP_POOL = Kind(
    "customer-owned IP pool",
    ("outposts", ANY, "local_gateway", "coip_pools"),
    missing=("InvalidPoolID.NotFound", "The pool ID '{name}' does not exist"),
    owner=LOCAL_GATEWAY_ROUTE_TABLE,
    uses=uses.of_coip_pool,
)
DOMAINS_POOL = Kind(
    "customer-owned IP pool",
    ("outposts", ANY, "local_gateway", "routing_domains", ANY, "coip_pools"),
    missing=COIP_POOL.missing,
    owner=ROUTING_DOMAIN,
    uses=uses.of_domains_pool,
)
ADDRESS = Kind(
    "address",
    ("addresses",),
    missing=("InvalidAllocationID.NotFound", "The allocation ID '{name}' does not exist"),
    in_use=("InvalidIPAddress.InUse", "Address {name} is in use."),
    uses=uses.of_address,
)

DEVICE = Kind(
    "customer device",
    ("site", "devices"),
    missing=_no("customer device"),
    in_use=(None, "the customer device '{name}' is in use"),
    uses=uses.of_device,
    implied=lambda data: implied.devices(),  # noqa: ARG005 - the same for all
    whole=True,
)
SEGMENT = Kind(
    "LAN segment",
    ("site", "segments"),
    missing=_no("LAN segment"),
    in_use=(None, "the LAN segment '{name}' is in use"),
    uses=uses.of_segment,
)
HOST = Kind("host", ("site", "hosts"), missing=_no("host"))
FIREWALL = Kind("firewall", ("site", "firewalls"), missing=_no("firewall"))
DIRECT_CONNECT = Kind(
    "Direct Connect connection",
    ("site", "direct_connect"),
    missing=("DirectConnectClientException", "Could not find Connection with ID {name}"),
    in_use=(
        "DirectConnectClientException",
        "Connection {name} has virtual interfaces that route tables use",
    ),
    uses=uses.of_connection,
)
INTERNET_HOST = Kind(
    "internet host",
    ("region", "internet", "hosts"),
    missing=_no("internet host"),
    inside=("region", "internet"),
)
ECS_CLUSTER = Kind(
    "ECS cluster",
    ("workloads", "ecs", "clusters"),
    missing=("ClusterNotFoundException", "Cluster not found."),
    in_use=(
        "ClusterContainsServicesException",
        "The Cluster cannot be deleted while Services are active.",
    ),
    uses=uses.of_ecs_cluster,
)
ECS_SERVICE = Kind(
    "ECS service",
    ("workloads", "ecs", "clusters", ANY, "services"),
    missing=("ServiceNotFoundException", "Service not found."),
    taken=("InvalidParameterException", "Creation of service was not idempotent."),
    owner=ECS_CLUSTER,
)
ECS_CONTAINER_INSTANCE = Kind(
    "container instance",
    ("workloads", "ecs", "clusters", ANY, "container_instances"),
    missing=("InvalidParameterException", "Container instance not found."),
    owner=ECS_CLUSTER,
)
ECS_TASK_DEFINITION = Kind(
    "ECS task definition",
    ("workloads", "ecs", "task_definitions"),
    missing=("ClientException", "Unable to describe task definition."),
    in_use=("ClientException", "The task definition is used by services."),
    uses=uses.of_ecs_task_definition,
)
