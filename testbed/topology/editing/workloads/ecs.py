"""Amazon ECS: clusters, task definitions, services, container instances."""

from __future__ import annotations

from testbed.topology.editing.kinds import (
    ECS_CLUSTER,
    ECS_CONTAINER_INSTANCE,
    ECS_SERVICE,
    ECS_TASK_DEFINITION,
)
from testbed.topology.editing.workloads.objects import Objects

_CLUSTERS = Objects(ECS_CLUSTER, "cluster", but=("container_instances", "services"))
_SERVICES = Objects(ECS_SERVICE, "cluster", "service")
_DEFINITIONS = Objects(ECS_TASK_DEFINITION, "task_definition")
_INSTANCES = Objects(ECS_CONTAINER_INSTANCE, "cluster", "instance")

create_ecs_cluster = _CLUSTERS.adding("create_ecs_cluster")
delete_ecs_cluster = _CLUSTERS.removing("delete_ecs_cluster")
create_ecs_service = _SERVICES.adding("create_ecs_service")
update_ecs_service = _SERVICES.changing("update_ecs_service")
delete_ecs_service = _SERVICES.removing("delete_ecs_service")
register_ecs_task_definition = _DEFINITIONS.adding("register_ecs_task_definition")
modify_ecs_task_definition = _DEFINITIONS.changing("modify_ecs_task_definition")
deregister_ecs_task_definition = _DEFINITIONS.removing("deregister_ecs_task_definition")
register_ecs_container_instance = _INSTANCES.adding("register_ecs_container_instance")
modify_ecs_container_instance = _INSTANCES.changing("modify_ecs_container_instance")
deregister_ecs_container_instance = _INSTANCES.removing("deregister_ecs_container_instance")
