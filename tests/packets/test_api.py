"""AWS's API over a running testbed: what boto3 and Terraform create, packets meet.

desk -- cnd1, cnd2 ==== op.ond1, op.ond2 -- web, created by the API
"""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from api_clients import KEYS, client, environment, served, terraform
from botocore.exceptions import ClientError

from testbed.api.server import CONNECTIONS
from testbed.lifecycle.api_process import registered
from testbed.lifecycle.live import live
from testbed.testing import Testbed

pytestmark = [
    pytest.mark.packets,
    pytest.mark.timeout(300),
    pytest.mark.topology(Path(__file__).parent / "api.yaml"),
]
QUICKLY = {"Delay": 1, "MaxAttempts": 120}


@pytest.fixture
def url(testbed: Testbed) -> Iterator[str]:
    with served(testbed.client.name) as found:
        yield found


class Installation:
    """An instance that the office reaches through the local gateway, created by the API."""

    def __init__(self, url: str) -> None:
        self.ec2 = ec2 = client(url)
        [outpost] = client(url, "outposts").list_outposts()["Outposts"]
        self.vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
        ec2.get_waiter("vpc_available").wait(VpcIds=[self.vpc], WaiterConfig=QUICKLY)
        self.subnet = ec2.create_subnet(
            VpcId=self.vpc,
            CidrBlock="10.77.7.0/24",
            OutpostArn=outpost["OutpostArn"],
            AvailabilityZone=outpost["AvailabilityZone"],
        )["Subnet"]["SubnetId"]
        self.gateway = ec2.describe_local_gateways()["LocalGateways"][0]["LocalGatewayId"]
        groups = ec2.describe_local_gateway_virtual_interface_groups()
        [group] = groups["LocalGatewayVirtualInterfaceGroups"]
        self.group = group["LocalGatewayVirtualInterfaceGroupId"]
        table = ec2.create_local_gateway_route_table(LocalGatewayId=self.gateway)
        self.table = table["LocalGatewayRouteTable"]["LocalGatewayRouteTableId"]
        self.both = {"LocalGatewayRouteTableId": self.table}

    def connect(self) -> None:
        """Associate the table with the VIF group and the VPC, and lead the subnet there."""
        ec2, group = self.ec2, {"LocalGatewayVirtualInterfaceGroupId": self.group}
        ec2.create_local_gateway_route_table_virtual_interface_group_association(
            **self.both, **group
        )
        ec2.create_local_gateway_route_table_vpc_association(**self.both, VpcId=self.vpc)
        ec2.create_local_gateway_route(DestinationCidrBlock="0.0.0.0/0", **self.both, **group)
        routes = ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(
            RouteTableId=routes, DestinationCidrBlock="0.0.0.0/0", LocalGatewayId=self.gateway
        )
        ec2.associate_route_table(RouteTableId=routes, SubnetId=self.subnet)

    def run(self, **how: Any) -> tuple[str, str]:
        """Run an instance; its identifier and address."""
        made = self.ec2.run_instances(
            ImageId="ami-1", MinCount=1, MaxCount=1, SubnetId=self.subnet, **how
        )
        [instance] = made["Instances"]
        ids = [instance["InstanceId"]]
        self.ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig=QUICKLY)
        return ids[0], instance["PrivateIpAddress"]


def reaches(testbed: Testbed, address: str) -> bool:
    """Whether the office's host gets answers from an address."""
    argv = ["ping", "-c", "1", "-W", "2", address]
    return testbed.client.run("desk", argv).returncode == 0


def announced(testbed: Testbed, device: str) -> str:
    """What a customer's device has learned."""
    [text] = testbed.client.ask(device, "bird", ["show route table all"])
    return text


def test_packets_meet_what_boto3_creates(testbed: Testbed, url: str) -> None:
    made = Installation(url)
    ec2 = made.ec2
    assert "10.77.7.0/24" not in announced(testbed, "cnd1")
    made.connect()
    testbed.eventually(lambda: "10.77.7.0/24" in announced(testbed, "cnd1"))
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=made.vpc)
    ids = {"GroupId": group["GroupId"]}
    instance, address = made.run(SecurityGroupIds=[group["GroupId"]])
    assert not reaches(testbed, address)  # the group lets nothing in
    rule = {
        "IpProtocol": "icmp",
        "FromPort": -1,
        "ToPort": -1,
        "IpRanges": [{"CidrIp": "192.168.10.0/24"}],
    }
    ec2.authorize_security_group_ingress(**ids, IpPermissions=[rule])
    testbed.eventually(lambda: reaches(testbed, address))
    routes = ec2.search_local_gateway_routes(**made.both)["Routes"]
    found = {(r["DestinationCidrBlock"], r["Type"], r["State"]) for r in routes}
    assert found == {
        ("0.0.0.0/0", "static", "active"),
        ("10.77.7.0/24", "propagated", "active"),
    }
    ec2.revoke_security_group_ingress(**ids, IpPermissions=[rule])
    assert not reaches(testbed, address)
    ec2.authorize_security_group_ingress(**ids, IpPermissions=[rule])
    ec2.stop_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance], WaiterConfig=QUICKLY)
    assert not reaches(testbed, address)
    ec2.start_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=QUICKLY)
    testbed.eventually(lambda: reaches(testbed, address))
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=QUICKLY)
    assert not reaches(testbed, address)


def test_a_call_that_only_asks_changes_nothing(testbed: Testbed, url: str) -> None:
    ec2 = client(url)
    before = live(testbed.client)
    with pytest.raises(ClientError, match="DryRunOperation"):
        ec2.create_vpc(CidrBlock="10.77.0.0/16", DryRun=True)
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        ec2.create_traffic_mirror_filter()
    assert live(testbed.client) == before
    assert client(url, "sts").get_caller_identity()["Account"] == "123456789012"
    assert ec2.create_key_pair(KeyName="mine")["KeyName"] == "mine"
    names = [row["KeyName"] for row in ec2.describe_key_pairs()["KeyPairs"]]
    assert names == ["mine"]


def test_what_others_change_is_seen(testbed: Testbed, url: str) -> None:
    from testbed.topology.editing import create_vpc

    ec2 = client(url)
    assert ec2.describe_vpcs()["Vpcs"] == []
    testbed.edit(create_vpc(vpc="app", cidr_block="10.9.0.0/16"))

    def cidrs() -> bool:
        return [row["CidrBlock"] for row in ec2.describe_vpcs()["Vpcs"]] == ["10.9.0.0/16"]

    testbed.eventually(cidrs)


def test_a_script_in_user_data_runs_in_the_instance(testbed: Testbed, url: str) -> None:
    made = Installation(url)
    instance, _ = made.run(UserData="#!/bin/sh\nip link add started type dummy\n")
    rows = made.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    name = next(iter(live(testbed.client).document.data["instances"]))
    assert rows[0]["State"]["Name"] == "running"

    def there() -> bool:
        return testbed.client.run(name, ["ip", "link", "show", "started"]).returncode == 0

    testbed.eventually(there)


def raw(url: str, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_hostile_requests_are_refused_and_nothing_is_lost(testbed: Testbed, url: str) -> None:
    before = live(testbed.client)
    signed = f"AWS4-HMAC-SHA256 Credential={KEYS['AWS_ACCESS_KEY_ID']}/20260101/us-west-2"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    good = {**form, "Authorization": f"{signed}/ec2/aws4_request"}
    assert raw(url, "GET", "/", b"", {})[0] == 403
    assert "InvalidAction" in raw(url, "POST", "/", b"Action=%00%ff", good)[1]
    assert raw(url, "POST", "/", b"\xff\xfe" * 500, good)[0] == 400
    large = {**good, "Content-Length": str(100 * 2**20)}
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as sock:
        lines = "".join(f"{key}: {value}\r\n" for key, value in large.items())
        sock.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        assert b" 413 " in sock.recv(4096)
    assert client(url).describe_vpcs()["Vpcs"] == []
    assert live(testbed.client) == before


def exchange(url: str, text: bytes) -> bytes:
    """What comes back for these bytes, until the endpoint closes or waits."""
    parts = urlsplit(url)
    answer = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=3) as sock:
        sock.sendall(text)
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while data := sock.recv(65536):
                answer += data
    return answer


def test_a_request_inside_another_one_is_not_carried_out(testbed: Testbed, url: str) -> None:
    before = live(testbed.client)
    signed = f"AWS4-HMAC-SHA256 Credential={KEYS['AWS_ACCESS_KEY_ID']}/20260101/us-west-2"
    form = "Action=CreateVpc&Version=2016-11-15&CidrBlock=10.9.0.0/16"
    head = (
        f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: {signed}/ec2/aws4_request\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
    )
    inner = f"{head}Content-Length: {len(form)}\r\n\r\n{form}"
    chunked = f"{head}Transfer-Encoding: chunked\r\n"
    smuggled = (
        f"{head}Content-Length: 3\r\nContent-Length: 0\r\n\r\n{inner}",
        f"{head}Content-Length: 0 \r\nContent-Length: {len(inner)}\r\n\r\n{inner}",
        f"{head}Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n{inner}",
        f"{head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{inner}",
        f"{head}Content-Length: +0\r\n\r\n{inner}",
        f"{chunked}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n{inner}",
        f"{head}X: a\r\n b\x00\r\n\r\n{inner}",
    )
    for text in smuggled:
        answer = exchange(url, text.encode())
        assert answer.count(b"HTTP/1.1 ") <= 1, (text, answer)
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")) or not answer, (text, answer)
    assert live(testbed.client) == before


def test_many_connections_that_say_nothing_keep_nobody_out(testbed: Testbed, url: str) -> None:
    parts = urlsplit(url)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 12_000), hard))
    many: list[socket.socket] = []
    try:
        for _ in range(min(10_000, hard - 1000)):
            sock = socket.socket()
            sock.settimeout(30)
            sock.connect((parts.hostname, parts.port))
            many.append(sock)
        assert client(url).describe_vpcs()["Vpcs"] == []
        assert len(list(Path(f"/proc/{server_of(testbed)}/fd").iterdir())) < 2 * CONNECTIONS
    finally:
        for sock in many:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert client(url).describe_vpcs()["Vpcs"] == []


def server_of(testbed: Testbed) -> int:
    """The process that serves the API."""
    return int(registered(testbed.client.name)["pid"])


def aws(url: str, *words: str) -> Any:
    """What AWS's command line prints, run as people do."""
    argv = [sys.executable, "-m", "awscli", *words, "--output", "json"]
    done = subprocess.run(
        argv, env=environment(url), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else {}


def test_commands_of_the_guide_to_ecs_on_outposts(testbed: Testbed, url: str) -> None:
    # AWS: Amazon ECS on AWS Outposts, its network commands in their order.
    assume = '{"Version":"2012-10-17","Statement":[]}'
    aws(
        *(url, "iam", "create-role", "--role-name", "ecsRole"),
        *("--assume-role-policy-document", assume),
    )
    aws(url, "iam", "create-instance-profile", "--instance-profile-name", "ecsRole")
    vpc = aws(url, "ec2", "create-vpc", "--cidr-block", "10.0.0.0/16")["Vpc"]["VpcId"]
    [outpost] = aws(url, "outposts", "list-outposts")["Outposts"]
    subnet = aws(
        *(url, "ec2", "create-subnet", "--vpc-id", vpc, "--cidr-block", "10.0.3.0/24"),
        *("--outpost-arn", outpost["OutpostArn"]),
        *("--availability-zone-id", outpost["AvailabilityZoneId"]),
    )["Subnet"]["SubnetId"]
    group = aws(
        *(url, "ec2", "create-security-group", "--group-name", "ecs", "--description", "ecs"),
        *("--vpc-id", vpc),
    )["GroupId"]
    made = aws(
        *(url, "ec2", "run-instances", "--count", "1", "--image-id", "ami-1"),
        *("--instance-type", "c5.large", "--subnet-id", subnet),
        *("--iam-instance-profile", "Name=ecsRole", "--security-group-ids", group),
    )["Instances"][0]
    aws(url, "ec2", "wait", "instance-running", "--instance-ids", made["InstanceId"])
    [name] = live(testbed.client).document.data["instances"]
    shown = testbed.client.run(name, ["ip", "-4", "addr"]).stdout.decode()
    assert made["PrivateIpAddress"] in shown


def test_terraform_applies_changes_and_destroys(
    testbed: Testbed, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = terraform(tmp_path, monkeypatch)
    gateway = client(url).describe_local_gateways()["LocalGateways"][0]["LocalGatewayId"]
    client(url).create_local_gateway_route_table(LocalGatewayId=gateway)
    groups = client(url).describe_local_gateway_virtual_interface_groups()
    [group] = groups["LocalGatewayVirtualInterfaceGroups"]
    [table] = client(url).describe_local_gateway_route_tables()["LocalGatewayRouteTables"]
    client(url).create_local_gateway_route_table_virtual_interface_group_association(
        LocalGatewayRouteTableId=table["LocalGatewayRouteTableId"],
        LocalGatewayVirtualInterfaceGroupId=group["LocalGatewayVirtualInterfaceGroupId"],
    )
    before = live(testbed.client).document.data
    text = (Path(__file__).parent / "api.tf").read_text().replace("ENDPOINT", url)
    (tmp_path / "main.tf").write_text(text)
    run("init")
    run("apply", "-auto-approve")
    instances = client(url).describe_instances()["Reservations"]
    address = instances[0]["Instances"][0]["PrivateIpAddress"]
    testbed.eventually(lambda: reaches(testbed, address))
    assert run("plan", "-detailed-exitcode") == 0
    (tmp_path / "main.tf").write_text(text.replace("192.168.10.0/24", "192.168.99.0/24"))
    run("apply", "-auto-approve")
    testbed.eventually(lambda: not reaches(testbed, address))
    run("destroy", "-auto-approve")
    after = live(testbed.client).document.data
    assert {**after, "aws": None} == {**before, "aws": None}
    assert "10.77.7.0/24" not in announced(testbed, "cnd1")
