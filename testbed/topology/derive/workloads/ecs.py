"""Amazon ECS: from the form to the model."""

from __future__ import annotations

from testbed.topology.model import Cluster, Ecs
from testbed.topology.schema import EcsForm


def derive_ecs(form: EcsForm) -> Ecs:
    """Return what is declared of ECS."""
    return Ecs(clusters={name: Cluster(name) for name in form.clusters})
