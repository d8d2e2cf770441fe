"""VPC endpoints."""

from __future__ import annotations

from typing import Any, Final

from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import DONE, Ask, Created, Result, Work, changes, edit, looks
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import Endpoint

KIND: Final = "vpc-endpoint"
POLICY = '{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}'


def describe(world: World, endpoint: Endpoint) -> dict[str, Any]:
    """Return a VPC endpoint as answers have it."""
    vpc = endpoint.vpc
    id_ = world.id(KIND, vpc, endpoint.name)
    interfaces = [world.topology.network_interfaces[name] for name in endpoint.interfaces]
    groups = endpoint.security_groups if endpoint.type == "interface" else ()
    return {
        "VpcEndpointId": id_,
        "VpcEndpointType": endpoint.type.capitalize(),
        "VpcId": world.id("vpc", vpc),
        "ServiceName": world.topology.region.prefix_list_of(endpoint.service),
        "State": world.state(id_),
        "PolicyDocument": POLICY,
        "RouteTableIds": [world.id("route-table", vpc, name) for name in endpoint.route_tables],
        "SubnetIds": [world.id("subnet", vpc, interface.subnet) for interface in interfaces],
        "NetworkInterfaceIds": [world.id("network-interface", i.name) for i in interfaces],
        "Groups": [
            {"GroupId": world.id("security-group", vpc, name), "GroupName": name} for name in groups
        ],
        "PrivateDnsEnabled": any(not n.startswith("vpce-") for n in endpoint.dns_names),
        "RequesterManaged": False,
        "DnsEntries": [{"DnsName": name} for name in endpoint.dns_names],
        "CreationTimestamp": world.created(id_),
        "OwnerId": ACCOUNT,
        "Tags": world.tags(id_),
    }


@looks("DescribeVpcEndpoints")
def describe_vpc_endpoints(ask: Ask) -> Result:
    """Describe VPC endpoints."""
    vpcs = ask.world.topology.vpcs.values()
    rows = [describe(ask.world, endpoint) for vpc in vpcs for endpoint in vpc.endpoints]
    key = "VpcEndpoints"
    aliases = {"vpc-endpoint-state": "State"}
    ids = ("VpcEndpointIds", "VpcEndpointId", KIND)
    return {key: select(ask, rows, key, ids=ids, aliases=aliases)}


@looks("DescribeVpcEndpointServices")
def describe_vpc_endpoint_services(ask: Ask) -> Result:
    """Describe the services of the Region's that have gateway endpoints, and a few others."""
    region = ask.world.topology.region
    gateways = [service.name for service in region.public_services]
    kinds = [(name, "Gateway") for name in gateways]
    kinds += [
        (name, "Interface") for name in ("ec2", "ecr.api", "ecr.dkr", "ecs", "logs", "ssm", "sts")
    ]
    wanted = ask.get("ServiceNames")
    rows = [
        {
            "ServiceName": region.prefix_list_of(name),
            "ServiceType": [{"ServiceType": kind}],
            "AvailabilityZones": list(region.zones),
            "Owner": "amazon",
            "VpcEndpointPolicySupported": True,
            "AcceptanceRequired": False,
            "ManagesVpcEndpoints": False,
            "Tags": [],
        }
        for name, kind in kinds
    ]
    if wanted:
        rows = [row for row in rows if row["ServiceName"] in wanted]
        if len(rows) < len(set(wanted)):
            message = f"The Vpc Endpoint Service '{wanted[0]}' does not exist"
            raise ApiError("InvalidServiceName", message)
    key = "ServiceDetails"
    aliases = {"service-type": "ServiceType.ServiceType"}
    found = select(ask, rows, key, aliases=aliases)
    return {key: found, "ServiceNames": [row["ServiceName"] for row in found]}


@changes("CreateVpcEndpoint")
def create_vpc_endpoint(ask: Ask) -> Work:
    """Create a gateway or interface endpoint."""
    vpc = ask.name("vpc", "VpcId")
    if ask.get("PolicyDocument"):
        raise ApiError("UnsupportedOperation", "Endpoint policies are not emulated here.")
    kind = ask.get("VpcEndpointType", "Gateway")
    if kind not in ("Gateway", "Interface"):
        raise ApiError("UnsupportedOperation", f"{kind} endpoints are not emulated here.")
    tags = ask.tags(KIND)
    service = ask["ServiceName"]
    name = ask.new_name(KIND, tags.get("Name") or service.rpartition(".")[2], vpc)
    interface = kind == "Interface"
    change = editing.create_vpc_endpoint(
        vpc=vpc,
        vpc_endpoint=name,
        service_name=service,
        vpc_endpoint_type=kind,
        route_tables=ask.all_names("route-table", "RouteTableIds") or None,
        subnets=ask.all_names("subnet", "SubnetIds") or None,
        security_groups=ask.all_names("security-group", "SecurityGroupIds") or None,
        private_dns_enabled=ask.get("PrivateDnsEnabled") if interface else None,
    )
    return Work(
        change=edit(change),
        creates=(Created(id_of(KIND, vpc, name), tags),),
        answer=lambda w: {"VpcEndpoint": describe(w, w.topology.vpcs[vpc].endpoint(name))},
    )


@changes("ModifyVpcEndpoint")
def modify_vpc_endpoint(ask: Ask) -> Work:
    """Change an endpoint's route tables, or its subnets, security groups and names."""
    vpc, name = ask.names(KIND, "VpcEndpointId")
    change = editing.modify_vpc_endpoint(
        vpc=vpc,
        vpc_endpoint=name,
        add_route_tables=ask.all_names("route-table", "AddRouteTableIds"),
        remove_route_tables=ask.all_names("route-table", "RemoveRouteTableIds"),
        add_subnets=ask.all_names("subnet", "AddSubnetIds"),
        remove_subnets=ask.all_names("subnet", "RemoveSubnetIds"),
        add_security_groups=ask.all_names("security-group", "AddSecurityGroupIds"),
        remove_security_groups=ask.all_names("security-group", "RemoveSecurityGroupIds"),
        private_dns_enabled=ask.get("PrivateDnsEnabled"),
    )
    return Work(change=edit(change), touches=(ask["VpcEndpointId"],), answer=DONE)


@changes("DeleteVpcEndpoints")
def delete_vpc_endpoints(ask: Ask) -> Work:
    """Delete endpoints; those that there are not are told, the others go."""
    found, lost = [], []
    for id_ in ask["VpcEndpointIds"]:
        ref = ask.world.objects.get(id_)
        if ref is not None and ref.kind == KIND:
            found.append((id_, ref.names))
        else:
            message = f"The Vpc Endpoint Id '{id_}' does not exist"
            error = {"Code": "InvalidVpcEndpointId.NotFound", "Message": message}
            lost.append({"ResourceId": id_, "Error": error})
    parts = [
        editing.delete_vpc_endpoints(vpc=names[0], vpc_endpoints=[names[1]]) for _, names in found
    ]
    return Work(
        change=edit(*parts),
        deletes={id_: {} for id_, _ in found},
        answer=lambda _: {"Unsuccessful": lost},
    )
