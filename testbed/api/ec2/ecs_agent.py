"""What user data writes to the ECS agent's configuration, /etc/ecs/ecs.config."""

from __future__ import annotations

import json
import re

from testbed.api.errors import ApiError
from testbed.topology import editing
from testbed.topology.editing.change import Change

CONFIG = "/etc/ecs/ecs.config"
SETTING = re.compile(r"\b(ECS_[A-Z_]+)=('[^']*'|\"[^\"]*\"|\{[^}]*\}|[^\s'\">]*)")


def container_instances(script: str, names: list[str]) -> list[Change]:
    """Return the changes that make instances with this user data container instances."""
    if CONFIG not in script:
        return []
    given = {key: value.strip("'\"") for key, value in SETTING.findall(script)}
    attributes = {}
    if text := given.get("ECS_INSTANCE_ATTRIBUTES"):
        try:
            attributes = {str(k): str(v) for k, v in json.loads(text).items()}
        except (ValueError, AttributeError):
            message = "ECS_INSTANCE_ATTRIBUTES of the user data is no JSON object"
            raise ApiError("InvalidParameterValue", message) from None
    return [
        editing.register_ecs_container_instance(
            cluster=given.get("ECS_CLUSTER", "default"),
            instance=name,
            image_pull_behavior=given.get("ECS_IMAGE_PULL_BEHAVIOR", "default"),
            attributes=attributes,
        )
        for name in names
    ]
