"""Names and addresses that a VPC hands out: DNS and DHCP, as the topology file has them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from testbed.topology.addresses import NameServer
from testbed.topology.schema.base import Form
from testbed.topology.values import DomainName, Name


class DhcpOptionsForm(Form):
    """A VPC's DHCP option set."""

    domain_name: DomainName | None = Field(
        None,
        description="The domain with which instances complete names. Default: the Region's,"
        " such as us-west-2.compute.internal.",
    )
    domain_name_servers: list[NameServer] = Field(
        default=["AmazonProvidedDNS"],
        min_length=1,
        max_length=4,
        description="The DNS servers: addresses, or AmazonProvidedDNS for the VPC's resolver."
        " Default: AmazonProvidedDNS.",
    )


class RecordForm(Form):
    """A record of a private hosted zone."""

    name: DomainName | None = Field(
        None, description="Its name, relative to the zone's. Default: the zone's own."
    )
    type: Literal["A", "AAAA", "CNAME", "TXT", "MX", "SRV"] = Field(
        "A", description="Its type: A, AAAA, CNAME, TXT, MX, SRV. Default: A."
    )
    ttl: int = Field(
        300, ge=0, le=2147483647, description="Its time to live in seconds. Default: 300."
    )
    values: list[str] = Field(
        min_length=1, max_length=100, description="Its values, each as in a zone file."
    )


class HostedZoneForm(Form):
    """A private hosted zone."""

    vpcs: list[Name] = Field(min_length=1, description="The VPCs that it is associated with.")
    records: list[RecordForm] = Field(default=[], description="Its records. Default: none.")
