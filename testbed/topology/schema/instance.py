"""EC2 instances, as the topology file has them."""

from __future__ import annotations

from pydantic import Field

from testbed.topology.model import Service
from testbed.topology.schema.base import Form
from testbed.topology.values import Address, SubnetName


class InstanceForm(Form):
    """An EC2 instance with one network interface."""

    subnet: SubnetName = Field(
        description="Its subnet: the name, or vpc/subnet where two VPCs use the name."
    )
    address: Address | None = Field(
        None, description="Its address. Default: the subnet's first free one from .4 on."
    )
    services: list[Service] = Field(
        default=[], description="What it runs to be reached: http, echo. Default: nothing."
    )
