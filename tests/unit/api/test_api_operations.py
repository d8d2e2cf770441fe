"""Operations of AWS's API on documents, without a testbed that runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import testbed.api.ec2
import testbed.api.outposts
from testbed.api.codec.models import service_model
from testbed.api.coverage import coverage
from testbed.api.elsewhere import EC2, is_moved
from testbed.api.errors import ApiError
from testbed.api.operations import OPERATIONS, Ask
from testbed.api.world import World
from testbed.api.writer import Job, _changed, _told
from testbed.errors import DocumentError
from testbed.lifecycle.live import Live
from testbed.topology.document import Document, resolve
from testbed.topology.editing import EditError

assert testbed.api.ec2
assert testbed.api.outposts

SITE = {
    "testbed": 1,
    "name": "api",
    "region": {"name": "us-west-2", "zones": ["us-west-2a", "us-west-2b"]},
    "outposts": {"op": {"local_gateway": {"vif_group": False, "vpcs": [], "routes": []}}},
}


class Account:
    """Calls operations on a document, one after the other, as the endpoint does."""

    def __init__(self, data: dict[str, Any] = SITE) -> None:
        self.document = Document(data)

    def world(self) -> World:
        topology = resolve(self.document)
        return World(Live(self.document, {}, 1, {}, []), topology)

    def __call__(self, name: str, service: str = "ec2", **parameters: Any) -> dict[str, Any]:
        operation = OPERATIONS[service, name]
        world = self.world()
        ask = Ask(name, parameters, world)
        if operation.look:
            return operation.look(ask)
        job = Job(operation, parameters, parameters.get("ClientToken"), ask=ask)
        try:
            document = _changed(job, self.document)
            resolve(document)
        except (EditError, DocumentError) as error:
            raise _told(error, ask) from None
        self.document = document
        assert job.work
        return job.work.answer(self.world())

    def vpc(self, **more: Any) -> str:
        made = self("CreateVpc", CidrBlock="10.77.0.0/16", **more)
        return str(made["Vpc"]["VpcId"])


def tagged(kind: str, **tags: str) -> list[dict[str, Any]]:
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    return [{"ResourceType": kind, "Tags": pairs}]


@pytest.fixture
def aws() -> Account:
    return Account()


def test_every_operation_is_one_of_its_service() -> None:
    for service, name in OPERATIONS:
        assert name in service_model(service).operation_names
    assert not {name for service, name in OPERATIONS if service == "ec2"} & EC2
    assert is_moved("sts", "GetCallerIdentity")
    assert not is_moved("ec2", "CreateVpc")
    rows = coverage()["ec2"]
    assert sum(map(len, rows.values())) == len(service_model("ec2").operation_names)


def test_all_operations_that_name_local_gateways_or_customer_owned_addresses_are_here() -> None:
    words = ("LocalGateway", "Coip", "Outpost", "ServiceLink")
    names = [n for n in service_model("ec2").operation_names if any(w in n for w in words)]
    assert len(names) >= 28
    assert all(("ec2", name) in OPERATIONS for name in names)


def test_a_vpc_has_what_one_of_awss_has(aws: Account) -> None:
    vpc = aws.vpc(TagSpecifications=tagged("vpc", Name="My App"))
    assert "my-app" in aws.document.data["vpcs"]
    [row] = aws("DescribeVpcs", Filters=[{"Name": "tag:Name", "Values": ["My*"]}])["Vpcs"]
    assert (row["VpcId"], row["State"]) == (vpc, "available")
    [group] = aws("DescribeSecurityGroups")["SecurityGroups"]
    assert group["GroupName"] == "default"
    assert group["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == group["GroupId"]
    [table] = aws("DescribeRouteTables")["RouteTables"]
    assert table["Associations"][0]["Main"]
    assert table["Routes"] == [
        {
            "DestinationCidrBlock": "10.77.0.0/16",
            "GatewayId": "local",
            "Origin": "CreateRouteTable",
            "State": "active",
        }
    ]
    [acl] = aws("DescribeNetworkAcls", Filters=[{"Name": "default", "Values": ["true"]}])[
        "NetworkAcls"
    ]
    assert {entry["RuleNumber"] for entry in acl["Entries"]} == {100, 32767}


def test_identifiers_are_not_given_twice(aws: Account) -> None:
    first = aws.vpc(TagSpecifications=tagged("vpc", Name="app"))
    aws("DeleteVpc", VpcId=first)
    second = aws.vpc(TagSpecifications=tagged("vpc", Name="app"))
    assert first != second
    assert list(aws.document.data["vpcs"]) == ["app-2"]


def test_a_client_token_makes_a_call_happen_once(aws: Account) -> None:
    vpc = aws.vpc()
    subnet = aws("CreateSubnet", VpcId=vpc, CidrBlock="10.77.1.0/24")["Subnet"]["SubnetId"]
    how = {"ImageId": "ami-1", "MinCount": 2, "MaxCount": 2, "SubnetId": subnet}
    first = aws("RunInstances", **how, ClientToken="once")["Instances"]
    again = aws("RunInstances", **how, ClientToken="once")["Instances"]
    assert [row["InstanceId"] for row in first] == [row["InstanceId"] for row in again]
    assert len(aws.document.data["instances"]) == 2


def test_a_subnet_on_an_outpost_does_not_associate_its_vpc_by_itself() -> None:
    aws = Account({**SITE, "outposts": {"op": {}}})
    vpc = aws.vpc()
    [outpost] = aws("ListOutposts", "outposts")["Outposts"]
    with pytest.raises(ApiError, match="AvailabilityZone"):
        aws("CreateSubnet", VpcId=vpc, CidrBlock="10.77.7.0/24", OutpostArn=outpost["OutpostArn"])
    aws(
        "CreateSubnet",
        VpcId=vpc,
        CidrBlock="10.77.7.0/24",
        OutpostArn=outpost["OutpostArn"],
        AvailabilityZoneId="usw2-az1",
    )
    assert [domain.vpcs for domain in resolve(aws.document).racks["op"].domains] == [()]
    [table] = aws("DescribeLocalGatewayRouteTables")["LocalGatewayRouteTables"]
    id_ = table["LocalGatewayRouteTableId"]
    aws("CreateLocalGatewayRouteTableVpcAssociation", LocalGatewayRouteTableId=id_, VpcId=vpc)
    assert [len(domain.vpcs) for domain in resolve(aws.document).racks["op"].domains] == [1]


def test_errors_have_awss_codes_and_identifiers(aws: Account) -> None:
    vpc = aws.vpc()
    subnet = aws("CreateSubnet", VpcId=vpc, CidrBlock="10.77.1.0/24")["Subnet"]["SubnetId"]
    for code, words, call in (
        ("DependencyViolation", vpc, ("DeleteVpc", {"VpcId": vpc})),
        ("InvalidVpcID.NotFound", "vpc-0", ("DeleteVpc", {"VpcId": "vpc-0"})),
        (
            "InvalidSubnet.Conflict",
            "10.77.1.0",
            ("CreateSubnet", {"VpcId": vpc, "CidrBlock": "10.77.1.0/25"}),
        ),
        (
            "InvalidParameterValue",
            "filter",
            ("DescribeVpcs", {"Filters": [{"Name": "no", "Values": ["x"]}]}),
        ),
        ("InvalidID", "x-1", ("CreateTags", {"Resources": ["x-1"], "Tags": []})),
        (
            "InvalidParameterValue",
            "aws:",
            ("CreateTags", {"Resources": [vpc], "Tags": [{"Key": "aws:x", "Value": ""}]}),
        ),
    ):
        with pytest.raises(ApiError, match=words) as refused:
            aws(call[0], **call[1])
        assert refused.value.code == code
    assert (
        aws("DescribeSubnets", SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"] == 251
    )


def test_rules_of_security_groups_are_told_as_they_were_given(aws: Account) -> None:
    vpc = aws.vpc()
    group = aws("CreateSecurityGroup", VpcId=vpc, GroupName="Web Servers", Description="d")[
        "GroupId"
    ]
    web = {
        "IpProtocol": "tcp",
        "FromPort": 80,
        "ToPort": 80,
        "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "all"}],
    }
    every = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    aws("AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[web, every])
    [row] = aws("DescribeSecurityGroups", GroupIds=[group])["SecurityGroups"]
    assert row["GroupName"] == "Web Servers"
    told = {each["IpProtocol"]: each for each in row["IpPermissions"]}
    assert told["tcp"]["IpRanges"] == web["IpRanges"]
    assert "FromPort" not in told["-1"]
    rules = aws("DescribeSecurityGroupRules")["SecurityGroupRules"]
    own = [r["SecurityGroupRuleId"] for r in rules if r.get("Description") == "all"]
    aws("RevokeSecurityGroupIngress", GroupId=group, SecurityGroupRuleIds=own)
    [row] = aws("DescribeSecurityGroups", GroupIds=[group])["SecurityGroups"]
    assert [each["IpProtocol"] for each in row["IpPermissions"]] == ["-1"]


def test_gateways_keep_their_identifiers_when_they_are_attached(aws: Account) -> None:
    vpc = aws.vpc()
    made = aws("CreateInternetGateway")["InternetGateway"]
    id_ = made["InternetGatewayId"]
    assert made["Attachments"] == []
    aws("AttachInternetGateway", InternetGatewayId=id_, VpcId=vpc)
    [row] = aws("DescribeInternetGateways")["InternetGateways"]
    assert (row["InternetGatewayId"], row["Attachments"][0]["VpcId"]) == (id_, vpc)
    with pytest.raises(ApiError, match="dependencies"):
        aws("DeleteInternetGateway", InternetGatewayId=id_)
    aws("DetachInternetGateway", InternetGatewayId=id_, VpcId=vpc)
    aws("DeleteInternetGateway", InternetGatewayId=id_)
    assert aws("DescribeInternetGateways")["InternetGateways"] == []


def test_terminated_instances_are_told_for_a_while(aws: Account) -> None:
    vpc = aws.vpc()
    subnet = aws("CreateSubnet", VpcId=vpc, CidrBlock="10.77.1.0/24")["Subnet"]["SubnetId"]
    how = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "SubnetId": subnet}
    [instance] = aws("RunInstances", **how)["Instances"]
    id_ = instance["InstanceId"]
    aws("TerminateInstances", InstanceIds=[id_])
    [reservation] = aws("DescribeInstances", InstanceIds=[id_])["Reservations"]
    assert reservation["Instances"][0]["State"]["Name"] == "terminated"
    aws("TerminateInstances", InstanceIds=[id_])
    aws("DeleteSubnet", SubnetId=subnet)
    aws("DeleteVpc", VpcId=vpc)
    assert not aws.document.data.get("vpcs")


def test_what_was_created_and_deleted_leaves_only_records(aws: Account) -> None:
    before = replace(aws.document)
    allocation = aws("AllocateAddress", Domain="vpc")["AllocationId"]
    aws("ReleaseAddress", AllocationId=allocation)
    left = {
        key: value for key, value in aws.document.data.items() if key not in ("aws", "addresses")
    }
    assert left == before.data


def test_ports_of_all_protocols_are_not_looked_at(aws: Account) -> None:
    """As Terraform revokes the rule that lets everything out."""
    group = aws("CreateSecurityGroup", GroupName="web", Description="web", VpcId=aws.vpc())
    everything = {"IpProtocol": "-1", "FromPort": 0, "ToPort": 0}
    rule = {**everything, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    aws("RevokeSecurityGroupEgress", GroupId=group["GroupId"], IpPermissions=[rule])
    [found] = aws("DescribeSecurityGroups", GroupIds=[group["GroupId"]])["SecurityGroups"]
    assert found["IpPermissionsEgress"] == []
    aws("AuthorizeSecurityGroupEgress", GroupId=group["GroupId"], IpPermissions=[rule])
    [found] = aws("DescribeSecurityGroups", GroupIds=[group["GroupId"]])["SecurityGroups"]
    assert [rule["IpRanges"] for rule in found["IpPermissionsEgress"]] == [
        [{"CidrIp": "0.0.0.0/0"}]
    ]
