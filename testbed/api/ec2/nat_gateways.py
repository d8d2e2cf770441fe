"""NAT gateways."""

from __future__ import annotations

from typing import Any

from testbed.api.ec2.addresses import allocation_id
from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, edit, looks
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.model import NatGateway


def describe(world: World, gateway: NatGateway) -> dict[str, Any]:
    """Return a NAT gateway as answers have it."""
    id_ = world.id("natgateway", gateway.vpc, gateway.name)
    interface = world.topology.network_interfaces.get(gateway.interface)
    addresses = []
    if interface is not None:
        address = {
            "NetworkInterfaceId": world.id("network-interface", interface.name),
            "PrivateIp": str(interface.address),
            "IsPrimary": True,
            "Status": "succeeded",
        }
        for _, public in interface.elastic_ips:
            address["PublicIp"] = str(public)
            address["AllocationId"] = allocation_id(world, interface, str(public))
        addresses.append(address)
    deleted = gateway.state == "deleted"
    return {
        "NatGatewayId": id_,
        "VpcId": world.id("vpc", gateway.vpc),
        "SubnetId": world.id("subnet", gateway.vpc, gateway.subnet),
        "State": "deleted" if deleted else world.state(id_),
        "ConnectivityType": "public",
        "CreateTime": world.created(id_),
        "NatGatewayAddresses": addresses,
        "Tags": world.tags(id_),
    }


@looks("DescribeNatGateways")
def describe_nat_gateways(ask: Ask) -> Result:
    """Describe NAT gateways, and for a while those that are deleted."""
    vpcs = ask.world.topology.vpcs.values()
    rows = [describe(ask.world, gateway) for vpc in vpcs for gateway in vpc.nat_gateways]
    known = {row["NatGatewayId"] for row in rows}
    for id_, entry in ask.world.records.items():
        if id_.startswith("nat-") and entry.get("deleted") and id_ not in known:
            last = entry.get("values", {})
            rows.append({**last, "NatGatewayId": id_, "State": "deleted"})
    ids = ("NatGatewayIds", "NatGatewayId", "natgateway")
    found = select(ask, rows, "NatGateways", ids=ids)
    return {"NatGateways": found}


def _gateway(world: World, vpc: str, name: str) -> NatGateway:
    return world.topology.vpcs[vpc].nat_gateway(name)


@changes("CreateNatGateway")
def create_nat_gateway(ask: Ask) -> Work:
    """Create a public NAT gateway."""
    vpc, subnet = ask.names("subnet", "SubnetId")
    if ask.get("ConnectivityType", "public") != "public":
        raise ApiError("UnsupportedOperation", "Private NAT gateways are not emulated here.")
    allocation = ask.name("elastic-ip", "AllocationId")
    tags = ask.tags("natgateway")
    name = ask.new_name("natgateway", tags.get("Name"), vpc)
    change = editing.create_nat_gateway(
        vpc=vpc,
        nat_gateway=name,
        subnet=subnet,
        allocation=allocation,
        private_ip_address=ask.get("PrivateIpAddress"),
    )

    def answer(world: World) -> Result:
        row = {"NatGateway": describe(world, _gateway(world, vpc, name))}
        return row | ({"ClientToken": ask["ClientToken"]} if ask.get("ClientToken") else {})

    made = Created(id_of("natgateway", vpc, name), tags)
    return Work(change=edit(change), creates=(made,), answer=answer)


@changes("DeleteNatGateway")
def delete_nat_gateway(ask: Ask) -> Work:
    """Delete a NAT gateway; routes to it become blackholes."""
    vpc, name = ask.names("natgateway", "NatGatewayId")
    row = describe(ask.world, _gateway(ask.world, vpc, name))
    last = {key: row[key] for key in ("VpcId", "SubnetId", "ConnectivityType")}
    change = editing.delete_nat_gateway(vpc=vpc, nat_gateway=name)
    id_ = ask["NatGatewayId"]
    return Work(change=edit(change), deletes={id_: last}, answer=lambda _: {"NatGatewayId": id_})
