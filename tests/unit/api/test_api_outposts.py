"""Operations about Outposts themselves, and what is refused while one is disconnected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_api_operations import SITE as RACK
from test_api_operations import Account

from testbed.api.disconnected import channel, outposts_of, refuse_unreachable
from testbed.api.errors import ApiError
from testbed.lower import lower
from testbed.plan.model import Plan, WireGuard
from testbed.topology.document import resolve

SITE: dict[str, Any] = RACK
KEY = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
SERVER = {
    "testbed": 1,
    "name": "servers",
    "region": {"name": "us-west-2", "zones": ["us-west-2a"]},
    "outposts": {
        "srv": {
            "form_factor": "server",
            "service_link": {"segment": "plant"},
            "local_network_interface": {"segment": "plant"},
        }
    },
    "vpcs": {
        "app": {
            "cidr": "10.80.0.0/16",
            "subnets": {"one": {"cidr": "10.80.1.0/24", "outpost": "srv"}},
        }
    },
    "site": {
        "devices": {"cnd1": {}},
        "segments": {"plant": {"cidr": "192.168.70.0/24", "devices": ["cnd1"], "dhcp": {}}},
    },
    "instances": {"n1": {"subnet": "one"}},
    "network_interfaces": {"lan": {"subnet": "one", "instance": "n1", "device_index": 1}},
}
SECOND = {
    **SITE,
    "outposts": {
        "op": {
            "form_factor": "rack-2nd-generation",
            "local_gateway": {"vpcs": [], "vifs": []},
        }
    },
    "site": {"devices": {f"cnd{number}": {} for number in (1, 2, 3, 4)}},
}


def plan_of(aws: Account) -> Plan:
    return lower(resolve(aws.document))


def peers(plan: Plan, anchor: str) -> dict[str, str]:
    node = next(node for node in plan.nodes if node.name == anchor)
    devices = [each.device for each in node.interfaces if isinstance(each.device, WireGuard)]
    return {peer.name: peer.public_key for device in devices for peer in device.peers}


def test_an_anchor_answers_the_key_that_a_server_was_connected_with() -> None:
    aws = Account(SERVER)
    [outpost] = aws("ListOutposts", "outposts")["Outposts"]
    assert outpost["SupportedHardwareType"] == "SERVER"
    number = resolve(aws.document).outposts["srv"].number
    asset = f"{number:04d}000001"
    before = peers(plan_of(aws), "region.anchor1")
    given: dict[str, Any] = {"AssetId": asset, "NetworkInterfaceDeviceIndex": 0}
    made = aws("StartConnection", "outposts", ClientPublicKey=KEY, **given)
    details = aws("GetConnection", "outposts", ConnectionId=made["ConnectionId"])
    shown = details["ConnectionDetails"]
    assert peers(plan_of(aws), "region.anchor1") == {"srv": KEY} != before
    assert shown["ClientPublicKey"] == KEY
    [tunnel] = [
        interface
        for node in plan_of(aws).nodes
        for interface in node.interfaces
        if isinstance(interface.device, WireGuard) and interface.name == "wg1"
    ]
    assert isinstance(tunnel.device, WireGuard)
    [anchor] = tunnel.device.peers
    assert anchor.public_key == shown["ServerPublicKey"]
    assert anchor.endpoint == shown["ServerEndpoint"]
    assert list(anchor.allowed_ips) == shown["AllowedIps"]
    assert str(tunnel.addresses[0]) == shown["ClientTunnelAddress"]
    with pytest.raises(ApiError, match="NotFoundException"):
        aws("GetConnection", "outposts", ConnectionId="bm90IG9uZQ==")


def test_a_subnets_interfaces_become_local_ones() -> None:
    aws = Account(SERVER)
    [subnet] = aws("DescribeSubnets")["Subnets"]
    assert not resolve(aws.document).local_network_interfaces
    aws("ModifySubnetAttribute", SubnetId=subnet["SubnetId"], EnableLniAtDeviceIndex=1)
    assert list(resolve(aws.document).local_network_interfaces) == ["lan"]
    assert aws("DescribeSubnets")["Subnets"][0]["EnableLniAtDeviceIndex"] == 1
    off: dict[str, Any] = {"DisableLniAtDeviceIndex": {"Value": True}}
    aws("ModifySubnetAttribute", SubnetId=subnet["SubnetId"], **off)
    assert not resolve(aws.document).local_network_interfaces


def test_virtual_interfaces_of_a_second_generation_rack_are_the_customers() -> None:
    aws = Account(SECOND)
    [group] = aws("DescribeLocalGatewayVirtualInterfaceGroups")[
        "LocalGatewayVirtualInterfaceGroups"
    ]
    assert group["ConfigurationState"] == "pending"
    lag = aws("DescribeOutpostLags")["OutpostLags"][0]
    made = aws(
        "CreateLocalGatewayVirtualInterface",
        LocalGatewayVirtualInterfaceGroupId=group["LocalGatewayVirtualInterfaceGroupId"],
        OutpostLagId=lag["OutpostLagId"],
        Vlan=300,
        LocalAddress="172.20.30.0/31",
        PeerAddress="172.20.30.1/31",
        PeerBgpAsn=65000,
    )["LocalGatewayVirtualInterface"]
    vlans = [interface.name for node in plan_of(aws).nodes for interface in node.interfaces]
    assert any(name.endswith(".300") for name in vlans)
    [vif] = aws("DescribeLocalGatewayVirtualInterfaces")["LocalGatewayVirtualInterfaces"]
    assert (vif["Vlan"], vif["LocalAddress"]) == (300, "172.20.30.0/31")
    own = {"LocalGatewayVirtualInterfaceId": made["LocalGatewayVirtualInterfaceId"]}
    aws("DeleteLocalGatewayVirtualInterface", **own)
    vlans = [interface.name for node in plan_of(aws).nodes for interface in node.interfaces]
    assert not any(name.endswith(".300") for name in vlans)
    first = Account()
    vifs = first("DescribeLocalGatewayVirtualInterfaces")["LocalGatewayVirtualInterfaces"]
    id_ = vifs[0]["LocalGatewayVirtualInterfaceId"]
    with pytest.raises(ApiError, match="UnsupportedOperation"):
        first("DeleteLocalGatewayVirtualInterface", LocalGatewayVirtualInterfaceId=id_)


def with_subnet(capacity: list[dict[str, int]]) -> Account:
    data = {
        **SITE,
        "outposts": {"op": {**SITE["outposts"]["op"], "capacity": {"servers": capacity}}},
    }
    data["vpcs"] = {
        "app": {
            "cidr": "10.77.0.0/16",
            "subnets": {
                "rack": {"cidr": "10.77.7.0/24", "outpost": "op"},
                "cloud": {"cidr": "10.77.8.0/24", "zone": "us-west-2a"},
            },
        }
    }
    data["instances"] = {"a": {"subnet": "rack", "type": "c5.large"}}
    return Account(data)


def test_a_capacity_task_divides_servers_anew_unless_an_instance_would_have_no_slot() -> None:
    aws = with_subnet([{"c5.large": 2}, {"c5.large": 2}])
    [outpost] = aws("ListOutposts", "outposts")["Outposts"]
    own = {"OutpostIdentifier": outpost["OutpostId"]}
    pools = [{"InstanceType": "c5.large", "Count": 3}, {"InstanceType": "m5.large", "Count": 1}]
    done = aws("StartCapacityTask", "outposts", InstancePools=pools, **own)
    assert done["CapacityTaskStatus"] == "COMPLETED"
    servers = aws.document.data["outposts"]["op"]["capacity"]["servers"]
    assert servers == [{"c5.large": 2, "m5.large": 1}, {"c5.large": 1, "m5.large": 0}]
    pools = [{"InstanceType": "m5.large", "Count": 4}]
    failed = aws("StartCapacityTask", "outposts", InstancePools=pools, **own)
    assert failed["CapacityTaskStatus"] == "FAILED"
    assert failed["Failed"]["Type"] == "BLOCKING_INSTANCES_NOT_EVACUATED"
    task = {"CapacityTaskId": failed["CapacityTaskId"], **own}
    blocking = aws("ListBlockingInstancesForCapacityTask", "outposts", **task)
    assert len(blocking["BlockingInstances"]) == 1
    assert aws.document.data["outposts"]["op"]["capacity"]["servers"] == servers
    listed = aws("ListCapacityTasks", "outposts")["CapacityTasks"]
    assert [row["CapacityTaskStatus"] for row in listed] == ["COMPLETED", "FAILED"]
    assert aws("GetCapacityTask", "outposts", **task)["Failed"] == failed["Failed"]
    with pytest.raises(ApiError, match="ConflictException"):
        aws("CancelCapacityTask", "outposts", **task)


def test_calls_about_a_disconnected_outpost_are_refused_and_others_are_not() -> None:
    aws = with_subnet([{"c5.large": 2}])
    world = aws.world()
    down = frozenset({channel("op")})
    rack, cloud = (
        next(row for row in aws("DescribeSubnets")["Subnets"] if ("OutpostArn" in row) is on)
        for on in (True, False)
    )
    [table] = aws("DescribeRouteTables")["RouteTables"]
    [gateway] = aws("DescribeLocalGateways")["LocalGateways"]
    [vpc] = aws("DescribeVpcs")["Vpcs"]
    [instance] = aws("DescribeInstances")["Reservations"][0]["Instances"]
    concerned: list[dict[str, Any]] = [
        {"SubnetId": rack["SubnetId"]},
        {"NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": rack["SubnetId"]}]},
        {"InstanceIds": [instance["InstanceId"]]},
        {"NetworkInterfaceId": instance["NetworkInterfaces"][0]["NetworkInterfaceId"]},
        {"RouteTableId": table["RouteTableId"]},
        {"LocalGatewayId": gateway["LocalGatewayId"]},
        {"OutpostArn": gateway["OutpostArn"]},
    ]
    for parameters in concerned:
        assert list(outposts_of(world, parameters)) == ["op"], parameters
        with pytest.raises(ApiError, match="OutpostNotReachable"):
            refuse_unreachable(world, parameters, down)
        refuse_unreachable(world, parameters, frozenset({"something else"}))
    for parameters in ({"VpcId": vpc["VpcId"]}, {"SubnetId": cloud["SubnetId"]}, {"Vlan": 3}):
        refuse_unreachable(world, parameters, down)


def test_an_instance_that_reboots_is_stopped_and_started() -> None:
    from testbed.api.operations import OPERATIONS, Ask

    aws = with_subnet([{"c5.large": 2}])
    [instance] = aws("DescribeInstances")["Reservations"][0]["Instances"]
    ids = [instance["InstanceId"]]
    change = OPERATIONS["ec2", "RebootInstances"].change
    assert change
    work = change(Ask("RebootInstances", {"InstanceIds": ids}, aws.world()))
    aws("RebootInstances", InstanceIds=ids)
    assert aws.document.data["instances"]["a"]["state"] == "stopped"
    assert "a" in resolve(aws.document).instances
    [now] = aws("DescribeInstances")["Reservations"][0]["Instances"]
    assert now["State"]["Name"] == "running"
    assert work.then
    aws.document = work.then(replace(aws.document))
    assert "state" not in aws.document.data["instances"]["a"]
    aws("StopInstances", InstanceIds=ids)
    with pytest.raises(ApiError, match="IncorrectState"):
        aws("RebootInstances", InstanceIds=ids)
