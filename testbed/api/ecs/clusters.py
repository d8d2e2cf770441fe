"""Clusters and their container instances."""

from __future__ import annotations

from testbed.api.ecs.common import (
    DEFAULT,
    NODE,
    PROCESS,
    SERVICE,
    cluster_of,
    declared,
    own_name,
    refuse_others,
)
from testbed.api.errors import ApiError
from testbed.api.operations import Ask, Result, Work, asks, changes, edit, returning
from testbed.lower.workloads.ecs_shapes import arn
from testbed.programs.ecs.state import id_for
from testbed.topology import editing

IGNORED = ("tags", "settings", "configuration")  # without packets


def _shape(ask: Ask, name: str, status: str = "ACTIVE") -> Result:
    own = arn(ask.world.topology, "cluster", name)
    return {"cluster": {"clusterArn": own, "clusterName": name, "status": status}}


@changes("CreateCluster", SERVICE)
def create_cluster(ask: Ask) -> Work:
    """Create a cluster; one that is there is answered as it is."""
    refuse_others(ask.parameters, ("clusterName", *IGNORED))
    name = str(ask.get("clusterName") or DEFAULT)
    answer = returning(_shape(ask, name))
    if name in declared(ask.world).clusters:
        return Work(answer=answer)
    return Work(change=edit(editing.create_ecs_cluster(cluster=name)), answer=answer)


@changes("DeleteCluster", SERVICE)
def delete_cluster(ask: Ask) -> Work:
    """Delete a cluster without services and container instances."""
    cluster = cluster_of(ask)
    if cluster.container_instances:
        message = "The Cluster cannot be deleted while Container Instances are active or draining."
        raise ApiError("ClusterContainsContainerInstancesException", message)
    change = edit(editing.delete_ecs_cluster(cluster=cluster.name))
    return Work(change=change, answer=returning(_shape(ask, cluster.name, "INACTIVE")))


@changes("DeregisterContainerInstance", SERVICE)
def deregister_container_instance(ask: Ask) -> Work:
    """End an instance's agent; its tasks end with it."""
    cluster = cluster_of(ask)
    given = own_name(str(ask["containerInstance"]))
    of_cluster = arn(ask.world.topology, "cluster", cluster.name)
    for entry in cluster.container_instances:
        if given == id_for(of_cluster + entry.instance):
            names = {"cluster": cluster.name, "instance": entry.instance}
            own = arn(ask.world.topology, "container-instance", f"{cluster.name}/{given}")
            row = {"containerInstanceArn": own, "status": "INACTIVE", "agentConnected": False}
            return Work(
                change=edit(editing.deregister_ecs_container_instance(**names)),
                answer=returning({"containerInstance": row}),
            )
    raise ApiError("InvalidParameterException", "Container instance not found.")


def _unknown(_: Ask) -> Result:
    raise ApiError("ClusterNotFoundException", "Cluster not found.")


asks("DiscoverPollEndpoint", SERVICE, (NODE, PROCESS), _unknown)
