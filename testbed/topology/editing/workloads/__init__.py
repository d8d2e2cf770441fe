"""Operations on what services of AWS's run. One module for each service."""

from testbed.topology.editing.workloads.ecs import (
    create_ecs_cluster,
    create_ecs_service,
    delete_ecs_cluster,
    delete_ecs_service,
    deregister_ecs_container_instance,
    deregister_ecs_task_definition,
    modify_ecs_container_instance,
    modify_ecs_task_definition,
    register_ecs_container_instance,
    register_ecs_task_definition,
    update_ecs_service,
)

__all__ = [
    "create_ecs_cluster",
    "create_ecs_service",
    "delete_ecs_cluster",
    "delete_ecs_service",
    "deregister_ecs_container_instance",
    "deregister_ecs_task_definition",
    "modify_ecs_container_instance",
    "modify_ecs_task_definition",
    "register_ecs_container_instance",
    "register_ecs_task_definition",
    "update_ecs_service",
]
