"""The Region and its internet, limits of the conformance suites, declared faults."""

from __future__ import annotations

from typing import Any

from testbed.errors import Path
from testbed.plan.json_diff import lookup
from testbed.topology.editing.change import EditError, make_operation, operation
from testbed.topology.editing.keyed import (
    Part,
    any_of,
    by_key,
    keys_of,
    operation_on,
    operations_on,
    operations_on_part,
    parameter,
)
from testbed.topology.editing.kinds import INTERNET_HOST
from testbed.topology.editing.tree import Data, put
from testbed.topology.schema import FaultForm

FAULTS: Path = ("faults",)
OWN = ("internet", "prefix_lists", "vpc_peering_connections", "transit_gateways")

modify_region = operation_on("modify_region", Part("the Region", ("region",), but=("name", *OWN)))
add_internet, modify_internet, remove_internet = operations_on_part(
    "internet", Part("an internet", ("region", "internet"), but=("hosts",))
)
add_internet_host, modify_internet_host, remove_internet_host = operations_on(
    INTERNET_HOST, "internet_host", "host"
)
modify_conformance = operation_on(
    "modify_conformance",
    Part("the limits for what testbed check measures", ("conformance",), but=("failover",)),
)
modify_failover_limits = operation_on(
    "modify_failover_limits",
    Part("the limits for interruptions of a flow", ("conformance", "failover")),
)


def _declare(data: Data, *, kind: str, target: str, fault: str | None = None, **given: Any) -> Data:
    there = lookup(data, FAULTS, [])
    if fault is not None and any(str(other.get("name")) == fault for other in there):
        raise EditError(None, f"the fault {fault} is declared already", FAULTS, "withdraw it")
    said = {"kind": kind, "target": target, "name": fault, **by_key(PARAMETERS, given)}
    declared = {key: value for key, value in said.items() if value is not None}
    return put(data, FAULTS, [*there, declared])


PARAMETERS = keys_of(FaultForm, but=("kind", "target", "name"))
declare_fault = make_operation(
    "declare_fault",
    _declare,
    [
        parameter("kind", str),
        parameter("target", str),
        parameter("fault", str, None),
        *any_of(PARAMETERS),
    ],
    "Declare a fault, by a name of its own; its parameters are those of docs/faults.md.",
)


@operation
def withdraw_fault(
    data: Data, *, fault: str | None = None, kind: str | None = None, target: str | None = None
) -> Data:
    """Withdraw the declared faults with a name, or with a kind and target."""
    wanted = {"name": fault, "kind": kind, "target": target}
    given = {key: value for key, value in wanted.items() if value is not None}
    there = lookup(data, FAULTS, [])
    left = [
        other
        for other in there
        if any(str(other.get(key)) != value for key, value in given.items())
    ]
    if not given or len(left) == len(there):
        declared = [str(other.get("name", other["kind"])) for other in there]
        remedy = f"declared are: {', '.join(declared)}" if declared else None
        raise EditError(None, "there is no such declared fault", FAULTS, remedy)
    return put(data, FAULTS, left)
