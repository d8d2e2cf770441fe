"""The topology file's form: pydantic models, and the JSON Schema made from them.

These classes hold what the file says; `None` means that the file leaves it
out and `testbed.topology.derive` fills it in. One module for each part.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from testbed.topology.schema.address import AddressForm
from testbed.topology.schema.aws import ObjectRecordForm
from testbed.topology.schema.base import Form
from testbed.topology.schema.conformance import ConformanceForm, FailoverForm
from testbed.topology.schema.direct_connect import (
    DirectConnectForm,
    PrivateVirtualInterfaceForm,
    PublicVirtualInterfaceForm,
    TransitVirtualInterfaceForm,
)
from testbed.topology.schema.dns import DhcpOptionsForm, HostedZoneForm, RecordForm
from testbed.topology.schema.fault import FaultForm
from testbed.topology.schema.instance import InstanceForm, MetadataOptionsForm, NetworkInterfaceForm
from testbed.topology.schema.lan import DhcpServerForm, HostForm, SegmentForm, VrrpForm
from testbed.topology.schema.outpost import (
    CoipPoolForm,
    GatewayRouteForm,
    LocalGatewayForm,
    OutpostForm,
    RouteTableAndVifGroupForm,
    RoutingDomainForm,
    ServiceLinkForm,
    UplinksForm,
    VifForm,
)
from testbed.topology.schema.placement import CapacityForm, PlacementGroupForm
from testbed.topology.schema.process import MountForm, ProcessForm
from testbed.topology.schema.region import InternetForm, InternetHostForm, RegionForm
from testbed.topology.schema.security import (
    EgressRuleForm,
    IngressRuleForm,
    NetworkAclEntryForm,
    NetworkAclForm,
    SecurityGroupForm,
    TrafficForm,
)
from testbed.topology.schema.server import (
    LanNetworkForm,
    Layer2ServiceForm,
    LocalPortForm,
    SwitchPortForm,
)
from testbed.topology.schema.site import (
    DeviceForm,
    FirewallForm,
    HostInterfacesForm,
    InternetAccessForm,
    LinkForm,
    RegionLinkForm,
    SiteForm,
    WanForm,
)
from testbed.topology.schema.transit import (
    TransitGatewayAttachmentForm,
    TransitGatewayForm,
    TransitGatewayRouteForm,
    TransitGatewayRouteTableForm,
    VpcPeeringConnectionForm,
)
from testbed.topology.schema.vpc import (
    EndpointForm,
    NatGatewayForm,
    RouteForm,
    RouteTableForm,
    SubnetForm,
    VirtualPrivateGatewayForm,
    VpcForm,
)
from testbed.topology.schema.workloads import ClusterForm, EcsForm, WorkloadsForm
from testbed.topology.values import DomainName, Name

__all__ = [
    "AddressForm",
    "CapacityForm",
    "ClusterForm",
    "CoipPoolForm",
    "ConformanceForm",
    "DeviceForm",
    "DhcpOptionsForm",
    "DhcpServerForm",
    "DirectConnectForm",
    "EcsForm",
    "EgressRuleForm",
    "EndpointForm",
    "FailoverForm",
    "FaultForm",
    "FirewallForm",
    "Form",
    "GatewayRouteForm",
    "HostForm",
    "HostInterfacesForm",
    "HostedZoneForm",
    "IngressRuleForm",
    "InstanceForm",
    "InternetAccessForm",
    "InternetForm",
    "InternetHostForm",
    "LanNetworkForm",
    "Layer2ServiceForm",
    "LinkForm",
    "LocalGatewayForm",
    "LocalPortForm",
    "MetadataOptionsForm",
    "MountForm",
    "Name",
    "NatGatewayForm",
    "NetworkAclEntryForm",
    "NetworkAclForm",
    "NetworkInterfaceForm",
    "ObjectRecordForm",
    "OutpostForm",
    "PlacementGroupForm",
    "PrivateVirtualInterfaceForm",
    "ProcessForm",
    "PublicVirtualInterfaceForm",
    "RecordForm",
    "RegionForm",
    "RegionLinkForm",
    "RouteForm",
    "RouteTableAndVifGroupForm",
    "RouteTableForm",
    "RoutingDomainForm",
    "SecurityGroupForm",
    "SegmentForm",
    "ServiceLinkForm",
    "SiteForm",
    "SubnetForm",
    "SwitchPortForm",
    "TopologyForm",
    "TrafficForm",
    "TransitGatewayAttachmentForm",
    "TransitGatewayForm",
    "TransitGatewayRouteForm",
    "TransitGatewayRouteTableForm",
    "TransitVirtualInterfaceForm",
    "UplinksForm",
    "VifForm",
    "VirtualPrivateGatewayForm",
    "VpcForm",
    "VpcPeeringConnectionForm",
    "VrrpForm",
    "WanForm",
    "WorkloadsForm",
    "json_schema",
]


class TopologyForm(Form):
    """An AWS Outposts installation: a topology file of the Outposts testbed."""

    testbed: Literal[1] = Field(description="The version of this file's form: 1.")
    name: Name = Field(description="The testbed's name.")
    time: Literal["real", "virtual"] = Field(
        "real", description="real, or virtual to skip idle time (docs/virtual-time.md)."
    )
    seed: int = Field(1, ge=0, lt=2**63, description="Random seed, for virtual time only.")
    region: RegionForm = Field(description="The Region.")
    vpcs: dict[Name, VpcForm] = Field(default={}, description="The VPCs, by name.")
    hosted_zones: dict[DomainName, HostedZoneForm] = Field(
        default={}, description="The private hosted zones, by domain name."
    )
    outposts: dict[Name, OutpostForm] = Field(default={}, description="The Outposts, by name.")
    site: SiteForm = Field(SiteForm(), description="What the customer owns.")
    placement_groups: dict[Name, PlacementGroupForm] = Field(
        default={}, description="The placement groups, by name."
    )
    instances: dict[Name, InstanceForm] = Field(default={}, description="The instances, by name.")
    network_interfaces: dict[Name, NetworkInterfaceForm] = Field(
        default={},
        description="The elastic network interfaces other than the instances' primary ones, by"
        " name.",
    )
    layer2_services: dict[Name, Layer2ServiceForm] = Field(
        default={},
        description="The service addresses that instances on Outposts servers announce by ARP"
        " (docs/servers.md), by name.",
    )
    addresses: dict[Name, AddressForm] = Field(
        default={}, description="The addresses that are allocated, by name."
    )
    workloads: WorkloadsForm | None = Field(
        None, description="What services of AWS's run (docs/workloads.md). Default: none."
    )
    aws: dict[str, ObjectRecordForm] = Field(
        default={},
        description="What AWS's endpoint keeps of objects beside all this: tags and the like, by"
        " AWS's identifiers (docs/api.md).",
    )
    conformance: ConformanceForm = Field(
        ConformanceForm(), description="Limits for what testbed check measures."
    )
    faults: list[FaultForm] = Field(
        default=[], description="The faults, injected on purpose (docs/faults.md)."
    )


def json_schema() -> dict[str, Any]:
    """The topology file's JSON Schema (draft 2020-12), for editors and other tools."""
    schema: dict[str, Any] = _tidy(TopologyForm.model_json_schema())
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Outposts testbed topology",
    }
    return head | schema


def _tidy(schema: Any) -> Any:
    """Drop what pydantic adds for its own sake: titles, nulls, defaults in internal units."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    alternatives = [item for item in _alternatives(schema) if item != {"type": "null"}]
    if len(alternatives) > 1:
        schema = {**schema, "anyOf": alternatives}
    elif len(alternatives) == 1:
        schema = {**alternatives[0], **{k: v for k, v in schema.items() if k != "anyOf"}}
    tidy = {key: _tidy(value) for key, value in schema.items() if not _noise(key, value)}
    if "patternProperties" in tidy:
        tidy["additionalProperties"] = False
    return tidy


def _alternatives(schema: dict[str, Any]) -> list[Any]:
    """What a union may be, without unions inside it."""
    found: list[Any] = []
    for item in schema.get("anyOf", []):
        found += _alternatives(item) if set(item) == {"anyOf"} else [item]
    return found


def _noise(key: str, value: Any) -> bool:
    return key == "default" or (key == "title" and isinstance(value, str))
