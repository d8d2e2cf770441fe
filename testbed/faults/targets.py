"""What a fault's target is, found in the plan.

NODE, NODE:INTERFACE, OUTPOST, or OUTPOST.lagN for the networking device's end of a LAG.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Literal

from testbed.errors import UsageError, no_such_node
from testbed.faults.editing import Target
from testbed.plan.lags import LAG, lag_named, lags_of
from testbed.plan.model import Loopback, Node, Plan, Vrf
from testbed.plan.roles import REGION, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

Accepted = Literal["node", "interface", "outpost", "region", "rack", "server"]
WORDS: dict[Accepted, str] = {
    "node": "NODE",
    "interface": "NODE:INTERFACE",
    "outpost": "OUTPOST",
    "region": REGION,
    "rack": "OUTPOST.rackN",
    "server": "OUTPOST.serverN",
}


def resolve(plan: Plan, text: str, accepted: Sequence[Accepted]) -> Target:
    """The target that `text` names; UsageError when there is none, or none that is accepted."""
    if REGION in accepted and text == REGION:
        return Target(outpost=REGION)
    if {"rack", "server"} & set(accepted):
        return _hardware(plan, text, accepted)
    outposts = outposts_of(plan)
    if "outpost" in accepted and text in outposts:
        return Target(outpost=text)
    if set(accepted) <= {"outpost", "region"}:
        close = difflib.get_close_matches(text, outposts, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"Outposts: {', '.join(outposts)}"
        raise UsageError(f"no Outpost {text[:80]!r} in {plan.name}", hint=hint)
    return _node_or_interface(plan, text, accepted)


def _hardware(plan: Plan, text: str, accepted: Sequence[Accepted]) -> Target:
    """The rack or server of an Outpost's that something runs on."""
    every = sorted({name for node in plan.nodes for name in node.hardware})
    known = [name for name in every if name.rpartition(".")[2].rstrip("0123456789") in accepted]
    if text in known:
        return Target(hardware=text)
    hint = f"in use are {', '.join(known)}" if known else "none is known: write a capacity"
    raise UsageError(f"nothing runs on {text[:80]!r}", hint=hint)


def outposts_of(plan: Plan) -> list[str]:
    """The Outposts of a plan."""
    groups = (node.group for node in plan.nodes if node.role == Role.SERVICE_LINK)
    return list(dict.fromkeys(groups))


def _node_or_interface(plan: Plan, text: str, accepted: Sequence[Accepted]) -> Target:
    name, colon, interface = text.partition(":")
    nodes = {node.name: node for node in plan.nodes}
    lag = LAG.fullmatch(text)
    if text not in nodes and (end := lag_named(plan.nodes, text)):
        name, colon, interface = end[0].name, ":", end[1]
    node = nodes.get(name)
    if node is None and lag and lag["outpost"] in outposts_of(plan):
        outpost = lag["outpost"]
        numbers = range(1, len(lags_of(plan.nodes, outpost)) + 1)
        hint = ", ".join(f"{outpost}.lag{number}" for number in numbers)
        raise UsageError(f"{outpost} has no LAG {lag['number']}", hint=f"it has {hint}")
    if node is None:
        raise no_such_node(name, plan.name, list(nodes))
    if colon and "interface" not in accepted:
        raise UsageError(
            f"{text}: this fault needs a whole node, not an interface", hint=f"target: {name}"
        )
    if colon:
        return Target(name, _interface(node, interface))
    if "node" in accepted:
        return Target(name)
    cables = [i.name for i in node.interfaces if not isinstance(i.device, Loopback | Vrf)]
    if len(cables) == 1:
        return Target(name, cables[0])
    hint = f"NODE:INTERFACE, such as {name}:{cables[0]}; it has {', '.join(cables)}"
    raise UsageError(f"{name}: this fault needs an interface", hint=hint if cables else None)


def _interface(node: Node, name: str) -> str:
    names = [i.name for i in node.interfaces if not isinstance(i.device, Loopback | Vrf)]
    if name in names:
        return name
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {node.name}:{close[0]}?" if close else f"it has {', '.join(names)}"
    raise UsageError(f"{node.name} has no interface {name[:40]!r}", hint=hint)
