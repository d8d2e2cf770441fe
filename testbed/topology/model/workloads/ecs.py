"""Amazon ECS: what a customer declares of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of container instances."""

    name: str


@dataclass(frozen=True, slots=True)
class Ecs:
    """All that is declared of ECS, by name."""

    clusters: Mapping[str, Cluster] = field(default_factory=dict)
