"""What cannot be changed in a running plan, and is recreated if a new plan differs."""

from __future__ import annotations

from testbed.plan.checks import LocalGatewayCheck
from testbed.plan.model import Plan


def replaced(old: Plan, new: Plan) -> list[str]:
    """A sentence for each such thing that the users of a running testbed have to know of.

    The mode of a local gateway route table is immutable: it is deleted and
    created, and its traffic stops meanwhile (AWS: local gateway route tables).
    """
    before = _gateways(old)
    return [
        f"{check.title}: the mode changes from {before[node].mode} to {check.mode};"
        " the table is deleted and recreated, and traffic through it stops meanwhile"
        for node, check in _gateways(new).items()
        if node in before and before[node].mode != check.mode
    ]


def _gateways(plan: Plan) -> dict[str, LocalGatewayCheck]:
    return {check.node: check for check in plan.checks if isinstance(check, LocalGatewayCheck)}
