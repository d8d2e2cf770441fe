"""Services of AWS's that run workloads, as the topology file has them. One module for each."""

from __future__ import annotations

from pydantic import Field

from testbed.topology.schema.base import Form
from testbed.topology.schema.workloads.ecs import ClusterForm, EcsForm

__all__ = ["ClusterForm", "EcsForm", "WorkloadsForm"]


class WorkloadsForm(Form):
    """What services of AWS's run on the Outposts and in the Region."""

    ecs: EcsForm | None = Field(None, description="Amazon ECS. Default: nothing of it.")
