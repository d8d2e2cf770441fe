"""The LAGs of Outposts in a plan, by the number that people call them by: OUTPOST.lagN."""

from __future__ import annotations

import re
from collections.abc import Iterable

from testbed.plan.model import Bond, Node
from testbed.plan.roles import Role

LAG = re.compile(r"(?P<outpost>[^:]+)\.lag(?P<number>[0-9]+)")


def lags_of(nodes: Iterable[Node], outpost: str) -> list[tuple[Node, str]]:
    """Return the Outpost's ends of its LAGs, node and bond, that of LAG 1 first."""
    return [
        (node, interface.name)
        for node in nodes
        if node.group == outpost and node.role == Role.NETWORKING_DEVICE
        for interface in node.interfaces
        if isinstance(interface.device, Bond)
    ]


def lag_named(nodes: Iterable[Node], text: str) -> tuple[Node, str] | None:
    """Return the Outpost's end of a LAG, node and bond; None where there is no such LAG."""
    match = LAG.fullmatch(text)
    if match is None:
        return None
    lags = lags_of(nodes, match["outpost"])
    number = int(match["number"])
    return lags[number - 1] if 0 < number <= len(lags) else None
