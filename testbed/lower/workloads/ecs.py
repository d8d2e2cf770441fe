"""Amazon ECS: its control plane in the Region, and an agent on each container instance."""

from __future__ import annotations

import json
from typing import Any

from testbed.lower.builder import Draft
from testbed.lower.workloads import control_plane
from testbed.lower.workloads.ecs_shapes import arn, service_shape, task_definition_shape
from testbed.plan.model import NODE_DIRECTORY, RESOLV_CONF, Process
from testbed.topology.ids import aws_id
from testbed.topology.model import Ecs, Topology
from testbed.topology.model.workloads.ecs import Cluster, ContainerInstance

SERVICE, PROGRAM = "ecs", "testbed-ecs"
AGENT, CONFIG = "ecs-agent", "ecs-agent.json"
# Of instance sizes, how many vCPUs; of families, how many MiB go with each (AWS: instance types).
VCPUS = {"nano": 2, "micro": 2, "small": 2, "medium": 2, "large": 2, "xlarge": 4, "metal": 96}
MEMORY_PER_VCPU = {"c": 2048, "m": 4096, "r": 8192, "g": 4096, "i": 8192, "t": 2048}
OTHER_MEMORY = 4096


def add_control_plane(draft: Draft, topology: Topology) -> None:
    """Add the control plane, if the document declares something of ECS."""
    ecs = topology.workloads.ecs
    if ecs is not None:
        plane = topology.workloads.control_planes[SERVICE]
        control_plane.add(draft, topology, plane, PROGRAM, _declared(topology, ecs))


def add_agents(draft: Draft, topology: Topology) -> None:
    """Run the agent on the container instances that are running."""
    ecs = topology.workloads.ecs
    for cluster in ecs.clusters.values() if ecs else ():
        for entry in cluster.container_instances:
            node = draft.nodes.get(entry.instance)
            if node is None:
                continue
            directory = f"{NODE_DIRECTORY}/{node.name}"
            config = _agent(topology, cluster, entry)
            config["resolv_conf"] = f"{directory}/{RESOLV_CONF}"
            node.files[CONFIG] = json.dumps(config, indent=1) + "\n"
            node.sysctls["net/ipv4/ip_forward"] = "1"  # as Docker sets it
            argv = ("testbed-ecs-agent", node.name, directory, cluster.name)
            # It reads its file anew when it needs to: tasks outlive a change.
            node.processes.append(Process(AGENT, argv))


def _agent(topology: Topology, cluster: Cluster, entry: ContainerInstance) -> dict[str, Any]:
    instance = topology.instances[entry.instance]
    vcpus, memory = resources_of(instance.type)
    return {
        "cluster": cluster.name,
        "ec2InstanceId": aws_id("instance", entry.instance),
        "host": f"ecs.{topology.region.name}.amazonaws.com",
        "cpu": vcpus * 1024,
        "memory": memory,
        "image_pull_behavior": entry.image_pull_behavior,
        "attributes": {
            "ecs.availability-zone": topology.subnet(instance.vpc, instance.subnet).zone,
            "ecs.instance-type": instance.type,
            "ecs.subnet-id": aws_id("subnet", f"{instance.vpc}/{instance.subnet}"),
            **dict(entry.attributes),
        },
    }


def resources_of(instance_type: str) -> tuple[int, int]:
    """Return the vCPUs and the MiB of an instance type, by its family and size."""
    family, _, size = instance_type.partition(".")
    count = size.removesuffix("xlarge")
    vcpus = 4 * int(count) if count.isdecimal() else VCPUS.get(size, 2)
    return vcpus, vcpus * MEMORY_PER_VCPU.get(family[:1], OTHER_MEMORY)


def _declared(topology: Topology, ecs: Ecs) -> dict[str, Any]:
    """Return what is declared, in the API's own shapes."""
    return {
        "region": topology.region.name,
        "clusters": [
            {"clusterName": name, "clusterArn": arn(topology, "cluster", name)}
            for name in ecs.clusters
        ],
        "containerInstances": [
            {"clusterArn": arn(topology, "cluster", cluster.name), "name": entry.instance}
            for cluster in ecs.clusters.values()
            for entry in cluster.container_instances
        ],
        "services": [
            service_shape(topology, cluster, service)
            for cluster in ecs.clusters.values()
            for service in cluster.services
        ],
        "taskDefinitions": [
            task_definition_shape(topology, entry) for entry in ecs.task_definitions.values()
        ],
    }
