"""Amazon ECS: edits what is declared, and asks its control plane in the testbed for the rest."""

from testbed.api.ecs import asked, clusters, services, task_definitions

__all__ = ["asked", "clusters", "services", "task_definitions"]
