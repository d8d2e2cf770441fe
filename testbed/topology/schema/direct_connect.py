"""Direct Connect, as the topology file has it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from testbed.topology.addresses import Cidr, Interface
from testbed.topology.routing_values import Md5Key
from testbed.topology.schema.base import Form
from testbed.topology.values import Delay, Name, OutpostAsn, Rate, Vlan

PREFIX_POOL: int = Field(
    100,
    ge=1,
    le=1000,  # of one virtual interface (AWS: Inbound prefix controls for Direct Connect)
    description="How many prefixes the customer may announce: its allocation from the connection's"
    " prefix pool. Default: 100.",
)


class VirtualInterfaceForm(Form):
    """What every Direct Connect virtual interface has."""

    vlan: Vlan | None = Field(
        None, description="The VLAN ID. Default: 101 private, 102 transit, 103 public."
    )
    amazon_address: Interface | None = Field(
        None, description="Amazon's address, with /30 or /31. Default: derived from link_cidr."
    )
    customer_address: Interface | None = Field(
        None, description="The customer's address, with /30 or /31. Default: the other one."
    )
    auth_key: Annotated[Md5Key, Field(min_length=6)] | None = Field(
        None, description="The MD5 key of the BGP session, 6 to 80 characters. Default: none."
    )
    bfd: bool = Field(
        default=False, description="Whether BFD guards the BGP session. Default: false."
    )
    vrf: Literal["sl", "lgw"] | None = Field(
        None,
        description="Its VRF on the customer device: sl for the service link, lgw for the LAN."
        " Default: sl for a public one and for one to a VPC that a service link uses, else lgw.",
    )


class PrivateVirtualInterfaceForm(VirtualInterfaceForm):
    """A private virtual interface: to a VPC's virtual private gateway."""

    virtual_private_gateway: Name = Field(
        description="The VPC whose virtual private gateway it ends in."
    )
    mtu: Literal[1500, 9001] = Field(1500, description="MTU in bytes. Default: 1500.")
    prefix_pool_allocated_count_ipv4: int = PREFIX_POOL


class TransitVirtualInterfaceForm(VirtualInterfaceForm):
    """A transit virtual interface: through a Direct Connect gateway to a transit gateway."""

    transit_gateway: Name = Field(description="The transit gateway.")
    asn: OutpostAsn = Field(64800, description="The Direct Connect gateway's ASN. Default: 64800.")
    allowed_prefixes: list[Cidr] | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="The prefixes announced to the customer. Default: the attached VPCs' CIDR"
        " blocks.",
    )
    mtu: Literal[1500, 8500] = Field(1500, description="MTU in bytes. Default: 1500.")
    prefix_pool_allocated_count_ipv4: int = PREFIX_POOL


class PublicVirtualInterfaceForm(VirtualInterfaceForm):
    """A public virtual interface: to the Region's public addresses."""


class DirectConnectForm(Form):
    """A Direct Connect connection."""

    device: Name = Field(description="The customer device that it ends at.")
    delay: Delay = Field(5.0, description="One-way delay. Default: 5ms.")
    rate: Rate = Field(1000.0, description="Rate in each direction. Default: 1G.")
    private_vif: PrivateVirtualInterfaceForm | None = Field(
        None, description="A private virtual interface. Default: none."
    )
    transit_vif: TransitVirtualInterfaceForm | None = Field(
        None, description="A transit virtual interface. Default: none."
    )
    public_vif: PublicVirtualInterfaceForm | None = Field(
        None, description="A public virtual interface. Default: none."
    )
