"""What ECS's control plane answers: what runs, and what is to be placed and stopped now."""

from __future__ import annotations

from testbed.api.ecs.common import NODE, PROCESS, SERVICE, refuse_fargate
from testbed.api.errors import ApiError
from testbed.api.operations import Ask, Params, Result, asks
from testbed.programs.ecs.cluster import State
from testbed.programs.ecs.operations import OPERATIONS, Operations
from testbed.programs.json_service import RefusedError


def without(ask: Ask) -> Result:
    """Answer as a control plane that knows nothing: the document declares nothing of ECS."""
    try:
        return Operations(State({})).run(ask.operation, dict(ask.parameters))
    except RefusedError as error:
        raise ApiError(error.code, error.message, error.status) from None


def check(given: Params) -> None:
    """Raise ApiError for what no task here can be."""
    refuse_fargate(given)
    if given.get("networkConfiguration"):
        message = (
            "Network Configuration is not valid for the given networkMode of this task definition."
        )
        raise ApiError("InvalidParameterException", message)


for _name in OPERATIONS:
    asks(_name, SERVICE, (NODE, PROCESS), without, check)
