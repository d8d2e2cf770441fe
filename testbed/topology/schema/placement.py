"""What an Outpost's servers hold, and where instances go, as the topology file has it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from testbed.topology.schema.base import Form
from testbed.topology.values import InstanceType, Slots


class CapacityForm(Form):
    """How an Outpost's servers are divided into slots for instances."""

    servers: list[dict[InstanceType, Slots]] = Field(
        min_length=1,
        description="Its servers, each with its slots: instance type to number of instances.",
    )


class PlacementGroupForm(Form):
    """A placement group: how its instances are placed relative to each other."""

    strategy: Literal["cluster", "spread"] = Field(
        description="cluster: close together; spread: on different hardware."
    )
    spread_level: Literal["host", "rack"] | None = Field(
        None, description="What spread keeps apart: host or rack. Default: host."
    )
