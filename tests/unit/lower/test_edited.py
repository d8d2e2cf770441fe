"""Plans of topologies that operations made of the shipped ones."""

from __future__ import annotations

from views import TOPOLOGIES, elements, wiring

from testbed.lower import lower
from testbed.topology.document import resolve
from testbed.topology.editing import (
    create_transit_gateway,
    create_transit_gateway_vpc_attachment,
    modify_region,
    together,
    update_outpost,
)
from testbed.topology.file.load import load_document


def test_an_endpoint_in_an_outpost_subnet_beside_a_transit_gateway() -> None:
    """Its interface is in the Region, in the Outpost's zone, where there may be no attachment."""
    document = together(
        modify_region(zones=["us-west-2a", "us-west-2b"]),
        update_outpost(outpost="op", zone="us-west-2b"),
        create_transit_gateway(transit_gateway="hub"),
        create_transit_gateway_vpc_attachment(
            transit_gateway="hub", transit_gateway_attachment="app", vpc="app"
        ),
    )(load_document(TOPOLOGIES / "vpc-endpoints.yaml"))
    plan = lower(resolve(document))
    port = wiring(plan, "region.vpce-app.logs.rack")["eth0"].removeprefix("region.vpc-app:")
    assert f"{port} . tgw-hub" in elements(plan, "region.vpc-app", "unattached")
