"""Addresses that are allocated, as the topology file has them."""

from __future__ import annotations

from pydantic import Field

from testbed.topology.addresses import AddressOrAuto
from testbed.topology.schema.base import Form
from testbed.topology.values import PoolName


class AddressForm(Form):
    """An address that is allocated: an Elastic IP, or a customer-owned one."""

    address: AddressOrAuto = Field(
        "auto",
        description="The address. Default: auto, the first free one of elastic_ip_cidr or the"
        " pool.",
    )
    pool: PoolName | None = Field(
        None,
        description="The customer-owned IP pool that it is from: OUTPOST/POOL. Default: none, it"
        " is an Elastic IP.",
    )
