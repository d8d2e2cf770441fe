"""Amazon ECS, as the topology file has it. Terms are ECS's own."""

from __future__ import annotations

from pydantic import Field

from testbed.topology.schema.base import Form
from testbed.topology.values import Name


class ClusterForm(Form):
    """A cluster of container instances."""


class EcsForm(Form):
    """What is declared of Amazon ECS."""

    clusters: dict[Name, ClusterForm] = Field(
        default={}, description="The clusters, by name. Default: none."
    )
