"""How AWS's API is served: TLS, a new Region, the calls of a log made again; a lost service link.

desk -- cnd1, cnd2 ==== op.ond1, op.ond2 -- web, created by the API
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from api_clients import client, served
from botocore.exceptions import ClientError, SSLError

from testbed.lifecycle.live import live
from testbed.testing import Testbed

pytestmark = [
    pytest.mark.packets,
    pytest.mark.timeout(300),
    pytest.mark.topology(Path(__file__).parent / "api.yaml"),
]
ADDRESS = "10.77.7.9"


def command(testbed: Testbed, *words: str) -> str:
    """What `testbed api` prints."""
    argv = [sys.executable, "-m", "testbed", "api", *words, "-n", testbed.client.name]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def create(ec2: Any, outposts: Any) -> dict[str, str]:
    """An instance that the office reaches through the local gateway; identifiers by kind."""
    [outpost] = outposts.list_outposts()["Outposts"]
    vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(
        VpcId=vpc,
        CidrBlock="10.77.7.0/24",
        OutpostArn=outpost["OutpostArn"],
        AvailabilityZone=outpost["AvailabilityZone"],
    )["Subnet"]["SubnetId"]
    cloud = ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.8.0/24")["Subnet"]["SubnetId"]
    [gateway] = ec2.describe_local_gateways()["LocalGateways"]
    own = {"LocalGatewayId": gateway["LocalGatewayId"]}
    made = ec2.create_local_gateway_route_table(**own)["LocalGatewayRouteTable"]
    table = {"LocalGatewayRouteTableId": made["LocalGatewayRouteTableId"]}
    [group] = ec2.describe_local_gateway_virtual_interface_groups()[
        "LocalGatewayVirtualInterfaceGroups"
    ]
    vifs = {"LocalGatewayVirtualInterfaceGroupId": group["LocalGatewayVirtualInterfaceGroupId"]}
    ec2.create_local_gateway_route_table_virtual_interface_group_association(**table, **vifs)
    ec2.create_local_gateway_route_table_vpc_association(**table, VpcId=vpc)
    ec2.create_local_gateway_route(DestinationCidrBlock="0.0.0.0/0", **table, **vifs)
    routes = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=routes, DestinationCidrBlock="0.0.0.0/0", **own)
    ec2.associate_route_table(RouteTableId=routes, SubnetId=subnet)
    group_id = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group_id, IpProtocol="icmp", CidrIp="0.0.0.0/0")
    [instance] = ec2.run_instances(
        ImageId="ami-1",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        PrivateIpAddress=ADDRESS,
        SecurityGroupIds=[group_id],
    )["Instances"]
    return {
        "vpc": vpc,
        "subnet": subnet,
        "cloud": cloud,
        "routes": routes,
        "group": group_id,
        "instance": instance["InstanceId"],
    }


def reaches(testbed: Testbed) -> bool:
    """Whether the office's host gets answers from the instance."""
    argv = ["ping", "-c", "1", "-W", "2", ADDRESS]
    return testbed.client.run("desk", argv).returncode == 0


def test_calls_of_a_log_are_made_again_in_a_new_region_over_tls(
    testbed: Testbed, tmp_path: Path
) -> None:
    log = tmp_path / "calls.jsonl"
    with served(testbed.client.name, "--tls", "--record", str(log)) as url:
        assert url.startswith("https://")
        variables = json.loads(command(testbed, "env", "--json"))
        assert variables["AWS_ENDPOINT_URL"] == url
        trusting = {"verify": variables["AWS_CA_BUNDLE"]}
        with pytest.raises(SSLError):
            client(url).describe_vpcs()
        ec2 = client(url, **trusting)
        made = create(ec2, client(url, "outposts", **trusting))
        with pytest.raises(ClientError, match="DependencyViolation"):
            ec2.delete_vpc(VpcId=made["vpc"])
        testbed.eventually(lambda: reaches(testbed), 30)
        before = live(testbed.client).document.data
    with served(testbed.client.name, "--new") as url:
        assert client(url).describe_vpcs()["Vpcs"] == []
        assert not reaches(testbed)
        rows = command(testbed, "replay", str(log)).splitlines()
        assert any("DependencyViolation" in row for row in rows)
        assert not any("it was" in row for row in rows)
        testbed.eventually(lambda: reaches(testbed), 30)
        after = live(testbed.client).document.data
        assert {**after, "aws": None} == {**before, "aws": None}
        assert set(after["aws"]) == set(before["aws"])


def test_what_needs_a_disconnected_outpost_is_refused_and_the_region_goes_on(
    testbed: Testbed, api_url: str
) -> None:
    ec2 = client(api_url)
    made = create(ec2, client(api_url, "outposts"))
    testbed.eventually(lambda: reaches(testbed), 30)
    run: dict[str, Any] = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1}
    ids = {"InstanceIds": [made["instance"]]}

    def refused() -> bool:
        with pytest.raises(ClientError) as error:
            ec2.terminate_instances(DryRun=True, **ids)
        return bool(error.value.response["Error"]["Code"] == "OutpostNotReachable")

    assert not refused()
    with testbed.fault("service-link-cut", "op"):
        testbed.advance(90)
        testbed.eventually(refused, 60)
        with pytest.raises(ClientError, match="OutpostNotReachable"):
            ec2.run_instances(SubnetId=made["subnet"], **run)
        with pytest.raises(ClientError, match="OutpostNotReachable"):
            ec2.stop_instances(**ids)
        with pytest.raises(ClientError, match="OutpostNotReachable"):
            ec2.create_route(
                RouteTableId=made["routes"],
                DestinationCidrBlock="10.99.0.0/16",
                NetworkInterfaceId=primary(ec2, made["instance"]),
            )
        assert reaches(testbed)  # what was accepted before runs on
        ec2.run_instances(SubnetId=made["cloud"], **run)
        ec2.create_tags(Resources=[made["instance"]], Tags=[{"Key": "a", "Value": "b"}])
    testbed.advance(90)
    testbed.eventually(lambda: not refused(), 60)


def primary(ec2: Any, instance: str) -> str:
    """The primary network interface of an instance."""
    [found] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    return str(found["NetworkInterfaces"][0]["NetworkInterfaceId"])


def test_what_runs_in_an_instance_ends_when_it_is_rebooted(testbed: Testbed, api_url: str) -> None:
    ec2 = client(api_url)
    made = create(ec2, client(api_url, "outposts"))
    testbed.eventually(lambda: reaches(testbed), 30)
    [name] = live(testbed.client).document.data["instances"]
    testbed.client.run(name, ["ip", "link", "add", "left", "type", "dummy"])

    def there() -> bool:
        return testbed.client.run(name, ["ip", "link", "show", "left"]).returncode == 0

    assert there()
    ec2.reboot_instances(InstanceIds=[made["instance"]])
    testbed.eventually(lambda: name in nodes(testbed) and not there(), 30)
    testbed.eventually(lambda: reaches(testbed), 30)
    assert "state" not in live(testbed.client).document.data["instances"][name]


def nodes(testbed: Testbed) -> set[str]:
    """The names of the nodes that there are."""
    return {row["name"] for row in testbed.client.status()["nodes"]}
