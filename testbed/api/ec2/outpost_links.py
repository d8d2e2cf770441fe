"""Outposts' LAGs and the service links' virtual interfaces."""

from __future__ import annotations

from typing import Any, Final

from testbed.api.filters import select
from testbed.api.operations import Ask, Result, looks
from testbed.api.racks import tables
from testbed.api.world import World
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import Lag, Rack

VIF: Final = "service-link-virtual-interface"
LAG: Final = "outpost-lag"


def _vif(world: World, outpost: Rack, lag: Lag) -> dict[str, Any]:
    id_ = world.id(VIF, outpost.name, str(lag.number))
    vif = lag.service_link
    return {
        "ServiceLinkVirtualInterfaceId": id_,
        "ServiceLinkVirtualInterfaceArn": world.arn(VIF, id_),
        "OutpostId": world.id("outpost", outpost.name),
        "OutpostArn": world.outpost_arn(outpost.name),
        "OwnerId": ACCOUNT,
        "LocalAddress": str(vif.local_address),
        "PeerAddress": str(vif.peer_address),
        "PeerBgpAsn": vif.peer_bgp_asn,
        "Vlan": vif.vlan,
        "OutpostLagId": world.id(LAG, outpost.name, str(lag.number)),
        "ConfigurationState": "available",
        "Tags": world.tags(id_),
    }


def _lag(world: World, outpost: Rack, lag: Lag) -> dict[str, Any]:
    own = (outpost.name, str(lag.number))
    id_ = world.id(LAG, *own)
    return {
        "OutpostLagId": id_,
        "OutpostArn": world.outpost_arn(outpost.name),
        "OwnerId": ACCOUNT,
        "State": "available",
        "LocalGatewayVirtualInterfaceIds": [
            world.id("local-gateway-virtual-interface", *table.vif_names(lag))
            for table in tables(world.topology)
            if table.rack == outpost and lag in (each for each, _ in table.vifs())
        ],
        "ServiceLinkVirtualInterfaceIds": [world.id(VIF, *own)],
        "Tags": world.tags(id_),
    }


@looks("DescribeServiceLinkVirtualInterfaces")
def describe_service_link_virtual_interfaces(ask: Ask) -> Result:
    """Describe the service links' virtual interfaces."""
    outposts = ask.world.topology.racks.values()
    rows = [_vif(ask.world, outpost, lag) for outpost in outposts for lag in outpost.lags]
    key = "ServiceLinkVirtualInterfaces"
    ids = ("ServiceLinkVirtualInterfaceIds", "ServiceLinkVirtualInterfaceId", VIF)
    return {key: select(ask, rows, key, ids=ids)}


@looks("DescribeOutpostLags")
def describe_outpost_lags(ask: Ask) -> Result:
    """Describe Outposts' LAGs."""
    outposts = ask.world.topology.racks.values()
    rows = [_lag(ask.world, outpost, lag) for outpost in outposts for lag in outpost.lags]
    ids = ("OutpostLagIds", "OutpostLagId", LAG)
    return {"OutpostLags": select(ask, rows, "OutpostLags", ids=ids)}
