"""Instance metadata: what each instance reads at 169.254.169.254 (`testbed.programs.metadata`).

The VPC router that an instance is connected to answers, so it does while the
service link is down. No security group, network ACL or route is asked (facts:
V nacl): the address is the router's own, and only what is from an interface's
own address gets there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any

from testbed.lower.builder import Draft
from testbed.lower.vpc import interfaces
from testbed.lower.vpc.dns import private_name
from testbed.lower.vpc.router import VpcRouter
from testbed.plan.checks import ListenCheck
from testbed.plan.model import NODE_DIRECTORY, Process
from testbed.topology.ids import ACCOUNT, aws_id, outpost_arn
from testbed.topology.model import Instance, NetworkInterface, Topology

ADDRESS = IPv4Address("169.254.169.254")
PORT = 80
FILE = "metadata.json"


def add(draft: Draft, topology: Topology, router: VpcRouter) -> None:
    """Add the service to a router that has instances' interfaces."""
    owned = [i for i in router.interfaces if i.requester is None and i.instance is not None]
    if not owned:
        return
    node = router.node
    node.loopback(ADDRESS)
    _let_in(router, owned)
    by_instance: dict[str, list[NetworkInterface]] = {}
    for interface in owned:
        by_instance.setdefault(str(interface.instance), []).append(interface)
    content = {
        "addresses": {str(a): i.instance for i in owned for a in i.addresses},
        "instances": {
            name: _instance(topology, topology.instances[name], attached)
            for name, attached in by_instance.items()
        },
    }
    node.files[FILE] = json.dumps(content) + "\n"
    # Not one of the process's `files`: it reads a changed one by itself.
    argv = ("testbed-metadata", node.name, f"{NODE_DIRECTORY}/{node.name}/{FILE}")
    node.processes.append(Process("metadata", argv))
    draft.checks.append(ListenCheck(node.name, "tcp", PORT, f"{node.title}: instance metadata"))


def _let_in(router: VpcRouter, owned: Sequence[NetworkInterface]) -> None:
    ruleset = router.ruleset
    condition = f"ip daddr {ADDRESS} iifname . ip saddr"
    ruleset.input.append(f"{condition} @interface_addresses accept")
    unchecked = [
        f'"{interfaces.port(i)}" . {address}'
        for i in owned
        if not i.source_destination_check
        for address in i.addresses
    ]
    if unchecked:
        ruleset.sets["unchecked_addresses"] = ("type ifname . ipv4_addr", unchecked)
        ruleset.input.append(f"{condition} @unchecked_addresses accept")
    ruleset.input.append(f"ip daddr {ADDRESS} counter drop")


def _instance(
    topology: Topology, instance: Instance, attached: list[NetworkInterface]
) -> dict[str, Any]:
    """What the service knows of an instance: its options, and its tree of paths."""
    identity = {"instance-identity": {"document": _document(topology, instance)}}
    tree = {"latest": {"dynamic": identity, "meta-data": _data(topology, instance, attached)}}
    return {
        "id": aws_id("instance", instance.name),
        "enabled": instance.metadata.enabled,
        "token_required": instance.metadata.token_required,
        "hop_limit": instance.metadata.hop_limit,
        "tree": tree,
    }


def _data(
    topology: Topology, instance: Instance, attached: list[NetworkInterface]
) -> dict[str, Any]:
    subnet = topology.subnet(instance.vpc, instance.subnet)
    primary = topology.network_interfaces[instance.name]
    name = private_name(topology, instance.address)
    macs = {interfaces.mac(interface): _interface(topology, interface) for interface in attached}
    placement = {"availability-zone": subnet.zone, "region": topology.region.name}
    if instance.placement_group is not None:
        placement["group-name"] = instance.placement_group
    data: dict[str, Any] = {
        "hostname": name,
        "instance-id": aws_id("instance", instance.name),
        "instance-type": instance.type,
        "local-hostname": name,
        "local-ipv4": str(instance.address),
        "mac": interfaces.mac(primary),
        "network": {"interfaces": {"macs": macs}},
        "placement": placement,
        "services": {"domain": "amazonaws.com", "partition": "aws"},
    }
    if subnet.outpost is not None:
        arn = outpost_arn(topology.region.name, subnet.outpost)
        data["outpost-arn"] = placement["outpost-arn"] = arn
    if primary.security_groups:
        data["security-groups"] = "\n".join(primary.security_groups)
    for private, public in primary.elastic_ips:
        if private == primary.address:
            data["public-ipv4"] = str(public)
    return data


def _interface(topology: Topology, interface: NetworkInterface) -> dict[str, Any]:
    mac = interfaces.mac(interface)
    vpc, subnet = topology.vpcs[interface.vpc], topology.subnet(interface.vpc, interface.subnet)
    data: dict[str, Any] = {
        "device-number": str(interface.device_index),
        "interface-id": aws_id("network-interface", interface.name),
        "local-hostname": private_name(topology, interface.address),
        "local-ipv4s": "\n".join(str(address) for address in interface.addresses),
        "mac": mac,
        "owner-id": ACCOUNT,
        "subnet-id": aws_id("subnet", f"{vpc.name}/{subnet.name}"),
        "subnet-ipv4-cidr-block": str(subnet.cidr),
        "vpc-id": aws_id("vpc", vpc.name),
        "vpc-ipv4-cidr-block": str(vpc.cidr),
        "vpc-ipv4-cidr-blocks": str(vpc.cidr),
    }
    if interface.security_groups:
        ids = (
            aws_id("security-group", f"{vpc.name}/{group}") for group in interface.security_groups
        )
        data["security-groups"] = "\n".join(interface.security_groups)
        data["security-group-ids"] = "\n".join(ids)
    if interface.elastic_ips:
        data["public-ipv4s"] = "\n".join(str(public) for _, public in interface.elastic_ips)
        data["ipv4-associations"] = {str(b): str(a) for a, b in interface.elastic_ips}
    return data


def _document(topology: Topology, instance: Instance) -> str:
    """The instance identity document; it is not signed."""
    subnet = topology.subnet(instance.vpc, instance.subnet)
    document = {
        "accountId": ACCOUNT,
        "architecture": "x86_64",
        "availabilityZone": subnet.zone,
        "instanceId": aws_id("instance", instance.name),
        "instanceType": instance.type,
        "privateIp": str(instance.address),
        "region": topology.region.name,
        "version": "2017-09-30",
    }
    # As `json.dumps` does with indent=2, in a third of the time: there is one for each instance.
    lines = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in document.items())
    return "{\n" + ",\n".join(lines) + "\n}"
