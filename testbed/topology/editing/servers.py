"""Local network interfaces on Outposts servers, what instances have and announce on them."""

from __future__ import annotations

from typing import Any, Literal

from testbed.topology.editing.change import operation
from testbed.topology.editing.kinds import LAYER2_SERVICE, NETWORK_INTERFACE, SUBNET
from testbed.topology.editing.named import add, change, remove
from testbed.topology.editing.tree import Data

__all__ = [
    "create_layer2_service",
    "delete_layer2_service",
    "modify_local_network_interface",
    "modify_subnet_lni",
]


@operation
def modify_subnet_lni(
    data: Data, *, vpc: str, subnet: str, enable_lni_at_device_index: int | None = None
) -> Data:
    """Change at which device index interfaces in a server's subnet are local ones; None: at none.

    EC2's ModifySubnetAttribute does it; an interface that is there becomes one.
    """
    values = {"enable_lni_at_device_index": enable_lni_at_device_index}
    return change(data, SUBNET, (vpc, subnet), values)


@operation
def modify_local_network_interface(
    data: Data,
    *,
    network_interface: str,
    lan: list[dict[str, Any]] | None = None,
    local: bool | None = None,
) -> Data:
    """Change what the instance's system has on a local network interface, as the file has it."""
    values = {"lan": lan, "local": local}
    return change(data, NETWORK_INTERFACE, (network_interface,), values)


@operation
def create_layer2_service(
    data: Data,
    *,
    service: str,
    address: str,
    nodes: list[str],
    heartbeats: Literal["lan", "vpc"] | None = None,
) -> Data:
    """Give a service an address on the LAN, which one of its nodes announces (not in EC2)."""
    values = {"address": address, "nodes": nodes, "heartbeats": heartbeats}
    return add(data, LAYER2_SERVICE, (service,), values)


@operation
def delete_layer2_service(data: Data, *, service: str) -> Data:
    """Take a service's address on the LAN away (not in EC2)."""
    return remove(data, LAYER2_SERVICE, service)
