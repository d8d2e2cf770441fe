"""What the operations of ECS have in common."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from testbed.api.errors import ApiError
from testbed.api.operations import Ask, Params
from testbed.api.world import World
from testbed.topology.model import Cluster, Ecs

SERVICE: Final = "ecs"
NODE, PROCESS = "region.ecs", "ecs"
DEFAULT = "default"
FARGATE = "AWS Fargate is not available on AWS Outposts."
Row = dict[str, Any]


def declared(world: World) -> Ecs:
    """Return what the document declares of ECS."""
    return world.topology.workloads.ecs or Ecs()


def own_name(arn: str) -> str:
    """Return the name at the end of an ARN, or the name that it is."""
    return arn.rpartition("/")[2]


def cluster_of(ask: Ask) -> Cluster:
    """Return the cluster that a call names. Raises ApiError where there is none."""
    name = own_name(str(ask.get("cluster") or DEFAULT))
    found = declared(ask.world).clusters.get(name)
    if found is None:
        raise ApiError("ClusterNotFoundException", "Cluster not found.")
    return found


def refuse_others(given: Params, known: Collection[str]) -> None:
    """Raise ApiError for a parameter that would have to be seen on the network, and isn't here."""
    for key, value in given.items():
        if key not in known and value not in (None, "", [], {}, False):
            message = f"The parameter {key} is not emulated here."
            raise ApiError("UnsupportedFeatureException", message)


def refuse_fargate(given: Params) -> None:
    """Raise ApiError where a call wants AWS Fargate."""
    providers = [
        row.get("capacityProvider", "") for row in given.get("capacityProviderStrategy", ())
    ]
    if given.get("launchType") == "FARGATE" or any(p.startswith("FARGATE") for p in providers):
        raise ApiError("InvalidParameterException", FARGATE)


def constraints(given: Params) -> list[Row] | None:
    """Return placement constraints as the document has them."""
    rows = given.get("placementConstraints")
    if not rows:
        return None
    keys = ("type", "expression")
    return [{key: row[key] for key in keys if row.get(key)} for row in rows]
