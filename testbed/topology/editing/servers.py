"""Local network interfaces on Outposts servers, and what instances have on them."""

from __future__ import annotations

from typing import Any

from testbed.topology.editing.change import operation
from testbed.topology.editing.kinds import NETWORK_INTERFACE, SUBNET
from testbed.topology.editing.named import change
from testbed.topology.editing.tree import Data


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
