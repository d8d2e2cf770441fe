"""The Region, as the topology file has it."""

from __future__ import annotations

from pydantic import Field

from testbed.topology.schema.base import Form
from testbed.topology.values import Address, Cidr, CustomerAsn, Name


class RegionForm(Form):
    """The Region that the Outposts are homed to."""

    name: Name = Field(description="The Region's name, such as us-west-2.")
    zones: list[Name] | None = Field(
        None,
        min_length=1,
        max_length=26,
        description="Its Availability Zones. Default: the Region's name followed by a, b and c.",
    )
    asn: CustomerAsn = Field(7224, description="The ASN of the Region's edge.")
    public_cidr: Cidr | None = Field(
        None, description="The Region's public addresses. Default: 198.51.100.0/24."
    )
    anchors: dict[Name, Address] | None = Field(
        None,
        description="The two service link anchors, name to address, inside public_cidr."
        " Default: anchor1 and anchor2, public_cidr's base plus 11 and plus 12.",
    )
