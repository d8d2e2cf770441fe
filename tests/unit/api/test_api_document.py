"""What operations leave in the document, which packets follow; deleting brings back what was."""

from __future__ import annotations

from typing import Any

import pytest
from test_api_operations import SITE, Account

from testbed.topology.document import resolve


class Network(Account):
    """A VPC with a subnet in the Region and one on the Outpost; answers by one of their keys."""

    def __init__(self) -> None:
        super().__init__(SITE)
        self.vpc_id = self.vpc()
        [outpost] = self("ListOutposts", "outposts")["Outposts"]
        place = {"OutpostArn": outpost["OutpostArn"], "AvailabilityZone": "us-west-2a"}
        self.cloud = self.subnet("10.77.1.0/24")
        self.rack = self.subnet("10.77.7.0/24", **place)

    def subnet(self, cidr: str, **more: Any) -> str:
        made = self("CreateSubnet", VpcId=self.vpc_id, CidrBlock=cidr, **more)
        return str(made["Subnet"]["SubnetId"])

    def made(self, name: str, key: str, id_: str, **parameters: Any) -> str:
        return str(self(name, **parameters)[key][id_])

    @property
    def of_vpc(self) -> dict[str, Any]:
        return dict(self.document.data["vpcs"]["vpc-1"])

    def public(self) -> set[str]:
        """The network interfaces that have an Elastic IP."""
        interfaces = resolve(self.document).network_interfaces
        return {name for name, each in interfaces.items() if each.elastic_ips}

    def settled(self) -> dict[str, Any]:
        """The document without its records."""
        return {key: value for key, value in self.document.data.items() if key != "aws"}


@pytest.fixture
def aws() -> Network:
    return Network()


def test_gateways_come_and_go(aws: Network) -> None:
    before = aws.settled()
    vpc = {"VpcId": aws.vpc_id}
    six = aws.made(
        "CreateEgressOnlyInternetGateway",
        "EgressOnlyInternetGateway",
        "EgressOnlyInternetGatewayId",
        **vpc,
    )
    assert aws.of_vpc["egress_only_internet_gateway"]
    aws("DeleteEgressOnlyInternetGateway", EgressOnlyInternetGatewayId=six)
    vpn = aws.made("CreateVpnGateway", "VpnGateway", "VpnGatewayId", Type="ipsec.1")
    assert aws.settled() == before
    aws("AttachVpnGateway", VpnGatewayId=vpn, **vpc)
    assert "virtual_private_gateway" in aws.of_vpc
    table = aws.made("CreateRouteTable", "RouteTable", "RouteTableId", **vpc)
    both = {"GatewayId": vpn, "RouteTableId": table}
    aws("EnableVgwRoutePropagation", **both)
    assert aws.of_vpc["route_tables"]["rtb-1"]["propagate"]
    aws("DisableVgwRoutePropagation", **both)
    assert "propagate" not in aws.of_vpc["route_tables"]["rtb-1"]
    aws("DeleteRouteTable", RouteTableId=table)
    aws("DetachVpnGateway", VpnGatewayId=vpn, **vpc)
    aws("DeleteVpnGateway", VpnGatewayId=vpn)
    assert aws.settled() == before


def test_a_nat_gateway_has_an_elastic_ip(aws: Network) -> None:
    gateway = aws.made("CreateInternetGateway", "InternetGateway", "InternetGatewayId")
    aws("AttachInternetGateway", InternetGatewayId=gateway, VpcId=aws.vpc_id)
    before = aws.settled()
    address = aws("AllocateAddress", Domain="vpc")["AllocationId"]
    nat = aws.made(
        "CreateNatGateway", "NatGateway", "NatGatewayId", SubnetId=aws.cloud, AllocationId=address
    )
    assert len(aws.of_vpc["nat_gateways"]) == 1
    aws("DeleteNatGateway", NatGatewayId=nat)
    assert not aws.of_vpc.get("nat_gateways")
    interface = aws.made(
        "CreateNetworkInterface", "NetworkInterface", "NetworkInterfaceId", SubnetId=aws.cloud
    )
    made = aws("AssociateAddress", AllocationId=address, NetworkInterfaceId=interface)
    assert aws.public() == {"eni-1"}
    aws("DisassociateAddress", AssociationId=made["AssociationId"])
    assert aws.public() == set()
    aws("ReleaseAddress", AllocationId=address)
    aws("DeleteNetworkInterface", NetworkInterfaceId=interface)
    assert {k: v for k, v in aws.settled().items() if v} == {k: v for k, v in before.items() if v}


def test_network_interfaces_have_addresses_and_instances(aws: Network) -> None:
    [instance] = aws("RunInstances", ImageId="ami-1", MinCount=1, MaxCount=1, SubnetId=aws.rack)[
        "Instances"
    ]
    own = {
        "NetworkInterfaceId": aws.made(
            "CreateNetworkInterface", "NetworkInterface", "NetworkInterfaceId", SubnetId=aws.rack
        )
    }

    def entries() -> dict[str, Any]:
        return dict(next(iter(aws.document.data["network_interfaces"].values())))

    attached = aws(
        "AttachNetworkInterface", InstanceId=instance["InstanceId"], DeviceIndex=1, **own
    )
    assert entries()["device_index"] == 1
    aws("AssignPrivateIpAddresses", PrivateIpAddresses=["10.77.7.50"], **own)
    assert entries()["secondary_addresses"] == ["10.77.7.50"]
    aws("UnassignPrivateIpAddresses", PrivateIpAddresses=["10.77.7.50"], **own)
    assert not entries().get("secondary_addresses")
    aws("ModifyNetworkInterfaceAttribute", SourceDestCheck={"Value": False}, **own)
    assert entries()["source_destination_check"] is False
    aws("DetachNetworkInterface", AttachmentId=attached["AttachmentId"])
    assert "instance" not in entries()
    aws("DeleteNetworkInterface", **own)
    assert not aws.document.data.get("network_interfaces")


def test_network_acls_filter_subnets(aws: Network) -> None:
    acl = aws.made("CreateNetworkAcl", "NetworkAcl", "NetworkAclId", VpcId=aws.vpc_id)
    rule: dict[str, Any] = {"NetworkAclId": acl, "RuleNumber": 10, "Egress": False}
    how: dict[str, Any] = {
        "Protocol": "6",
        "CidrBlock": "0.0.0.0/0",
        "PortRange": {"From": 80, "To": 80},
    }
    aws("CreateNetworkAclEntry", RuleAction="allow", **how, **rule)
    name = "acl-1"
    [entry] = aws.of_vpc["network_acls"][name]["ingress"]
    assert entry["action"] == "allow"
    aws("ReplaceNetworkAclEntry", RuleAction="deny", **how, **rule)
    [entry] = aws.of_vpc["network_acls"][name]["ingress"]
    assert entry["action"] == "deny"
    filters = [{"Name": "association.subnet-id", "Values": [aws.rack]}]
    [default] = aws("DescribeNetworkAcls", Filters=filters)["NetworkAcls"]
    [now] = [each for each in default["Associations"] if each["SubnetId"] == aws.rack]
    association = now["NetworkAclAssociationId"]
    made = aws("ReplaceNetworkAclAssociation", AssociationId=association, NetworkAclId=acl)
    assert aws.of_vpc["subnets"]["subnet-2"]["network_acl"] == name
    back = {"AssociationId": made["NewAssociationId"], "NetworkAclId": default["NetworkAclId"]}
    aws("ReplaceNetworkAclAssociation", **back)
    aws("DeleteNetworkAclEntry", **rule)
    assert not aws.of_vpc["network_acls"][name].get("ingress")
    aws("DeleteNetworkAcl", NetworkAclId=acl)
    assert not aws.of_vpc.get("network_acls")


def test_peering_connections_have_to_be_accepted(aws: Network) -> None:
    other = str(aws("CreateVpc", CidrBlock="10.88.0.0/16")["Vpc"]["VpcId"])
    pair = {"VpcId": aws.vpc_id, "PeerVpcId": other}
    key, id_ = "VpcPeeringConnection", "VpcPeeringConnectionId"
    for end in ("Reject", "Delete"):
        made = {id_: aws.made("CreateVpcPeeringConnection", key, id_, **pair)}
        if end == "Delete":
            aws("AcceptVpcPeeringConnection", **made)
            assert aws.document.data["region"]["vpc_peering_connections"]
        aws(f"{end}VpcPeeringConnection", **made)
        assert not aws.document.data["region"].get("vpc_peering_connections")


def test_transit_gateways_route_between_attachments(aws: Network) -> None:
    gateway = {
        "TransitGatewayId": aws.made("CreateTransitGateway", "TransitGateway", "TransitGatewayId")
    }

    def kept() -> dict[str, Any]:
        return dict(next(iter(aws.document.data["region"]["transit_gateways"].values())))

    attachment = aws.made(
        "CreateTransitGatewayVpcAttachment",
        "TransitGatewayVpcAttachment",
        "TransitGatewayAttachmentId",
        VpcId=aws.vpc_id,
        SubnetIds=[aws.cloud],
        **gateway,
    )
    assert len(kept()["attachments"]) == 1
    key, id_ = "TransitGatewayRouteTable", "TransitGatewayRouteTableId"
    table = {id_: aws.made("CreateTransitGatewayRouteTable", key, id_, **gateway)}
    route = {"DestinationCidrBlock": "10.99.0.0/16", **table}
    aws("CreateTransitGatewayRoute", TransitGatewayAttachmentId=attachment, **route)
    [made] = [each for each in kept()["route_tables"].values() if each.get("routes")]
    assert made["routes"][0]["destination"] == "10.99.0.0/16"
    aws("ReplaceTransitGatewayRoute", Blackhole=True, **route)
    [made] = [each for each in kept()["route_tables"].values() if each.get("routes")]
    [kind] = [row for row in made["routes"] if "attachment" not in row]
    assert kind["destination"] == "10.99.0.0/16"
    aws("DeleteTransitGatewayRoute", **route)
    assert not [each for each in kept()["route_tables"].values() if each.get("routes")]
    aws("DeleteTransitGatewayRouteTable", **table)
    aws("DeleteTransitGatewayVpcAttachment", TransitGatewayAttachmentId=attachment)
    aws("DeleteTransitGateway", **gateway)
    assert not aws.document.data["region"].get("transit_gateways")


def test_routes_are_replaced_and_deleted(aws: Network) -> None:
    [gateway] = aws("DescribeLocalGateways")["LocalGateways"]
    local = {"LocalGatewayId": gateway["LocalGatewayId"]}
    made = aws("CreateLocalGatewayRouteTable", **local)["LocalGatewayRouteTable"]
    table = {"LocalGatewayRouteTableId": made["LocalGatewayRouteTableId"]}
    key = "LocalGatewayRouteTableVpcAssociation"
    to_vpc = aws.made(f"Create{key}", key, f"{key}Id", VpcId=aws.vpc_id, **table)

    def associated() -> tuple[str, ...]:
        return resolve(aws.document).racks["op"].domains[0].vpcs

    assert associated() == ("vpc-1",)
    routes = aws.made("CreateRouteTable", "RouteTable", "RouteTableId", VpcId=aws.vpc_id)
    association = aws("AssociateRouteTable", RouteTableId=routes, SubnetId=aws.rack)
    own = {"RouteTableId": routes, "DestinationCidrBlock": "192.168.0.0/16"}
    aws("CreateRoute", **local, **own)

    def kept() -> dict[str, Any]:
        return dict(aws.of_vpc["route_tables"]["rtb-1"])

    assert kept()["routes"] == [{"destination": "192.168.0.0/16", "target": "op.local-gateway"}]
    interface = aws.made(
        "CreateNetworkInterface", "NetworkInterface", "NetworkInterfaceId", SubnetId=aws.rack
    )
    aws("ReplaceRoute", NetworkInterfaceId=interface, **own)
    assert kept()["routes"][0]["target"].endswith(".network-interface")
    aws("DeleteRoute", **own)
    assert not kept().get("routes")
    aws("DisassociateRouteTable", AssociationId=association["AssociationId"])
    assert not kept().get("subnets")
    aws("DeleteRouteTable", RouteTableId=routes)
    aws("DeleteNetworkInterface", NetworkInterfaceId=interface)
    aws(f"Delete{key}", **{f"{key}Id": to_vpc})
    assert associated() == ()
    aws("DeleteLocalGatewayRouteTable", **table)
    assert aws("DescribeLocalGatewayRouteTables")["LocalGatewayRouteTables"] == []


def test_prefix_lists_groups_tags_and_options(aws: Network) -> None:
    before = aws.settled()
    made = aws(
        "CreateManagedPrefixList",
        PrefixListName="office",
        MaxEntries=5,
        AddressFamily="IPv4",
        Entries=[{"Cidr": "192.168.10.0/24"}],
    )["PrefixList"]

    def lists() -> Any:
        return aws.document.data["region"].get("prefix_lists")

    assert lists() == {"office": ["192.168.10.0/24"]}
    own = {"PrefixListId": made["PrefixListId"]}
    more = [{"Cidr": "192.168.20.0/24"}]
    aws("ModifyManagedPrefixList", CurrentVersion=1, AddEntries=more, **own)
    assert lists() == {"office": ["192.168.10.0/24", "192.168.20.0/24"]}
    aws("DeleteManagedPrefixList", **own)
    group = aws("CreateSecurityGroup", GroupName="g", Description="g", VpcId=aws.vpc_id)
    aws("DeleteSecurityGroup", GroupId=group["GroupId"])
    aws("CreatePlacementGroup", GroupName="near", Strategy="cluster")
    assert aws.document.data["placement_groups"]["near"]["strategy"] == "cluster"
    aws("DeletePlacementGroup", GroupName="near")
    options = aws.made(
        "CreateDhcpOptions",
        "DhcpOptions",
        "DhcpOptionsId",
        DhcpConfigurations=[{"Key": "domain-name-servers", "Values": ["192.168.10.53"]}],
    )
    aws("AssociateDhcpOptions", DhcpOptionsId=options, VpcId=aws.vpc_id)
    assert "192.168.10.53" in str(aws.of_vpc["dhcp_options"])
    aws("AssociateDhcpOptions", DhcpOptionsId="default", VpcId=aws.vpc_id)
    aws("DeleteDhcpOptions", DhcpOptionsId=options)
    aws("CreateTags", Resources=[aws.rack], Tags=[{"Key": "a", "Value": "b"}])
    assert aws.document.data["aws"][aws.rack]["tags"] == {"a": "b"}
    aws("DeleteTags", Resources=[aws.rack], Tags=[{"Key": "a"}])
    assert "tags" not in aws.document.data["aws"][aws.rack]
    assert {k: v for k, v in aws.settled().items() if v} == before


def test_outposts_are_named_and_tagged(aws: Network) -> None:
    [outpost] = aws("ListOutposts", "outposts")["Outposts"]
    before = aws.settled()
    aws("UpdateOutpost", "outposts", OutpostId=outpost["OutpostId"], Name="lab")
    arn = {"ResourceArn": outpost["OutpostArn"]}
    aws("TagResource", "outposts", Tags={"a": "b"}, **arn)
    [now] = aws("ListOutposts", "outposts")["Outposts"]
    assert (now["Name"], now["Tags"]) == ("lab", {"a": "b"})
    aws("UntagResource", "outposts", TagKeys=["a"], **arn)
    assert aws("ListTagsForResource", "outposts", **arn)["Tags"] == {}
    assert aws.settled() == before  # what packets meet has no name and no tags
