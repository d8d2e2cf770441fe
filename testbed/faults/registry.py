"""The kinds of faults: each a function that changes a plan, with what it may be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.faults.values import Parameter, Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.faults.editing import Editing, Target
    from testbed.faults.targets import Accepted
    from testbed.plan.model import Fault

    Change = Callable[[Editing, Target, Fault], None]

# Faults in force are applied in the order of their rank, so that their own order does not matter.
LEAKS, DRAINS, WITHDRAWALS, CONFIGURATION, LINKS, QUEUES, RULES, REMOVALS = range(8)


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault.

    Its form in a topology file, its command and help, and its rows in the docs are made of
    this. `targets` says what its target may be; `lasts_s` is how long it lasts where nothing
    else is asked for (None: until it is healed). With `at_least_one` it needs a value of a
    parameter that does not narrow it. One that is `measured` impairs packets, so that what it
    achieves can be shown.
    """

    name: str
    help: str
    targets: tuple[Accepted, ...]
    change: Change
    parameters: tuple[Parameter, ...] = ()
    rank: int = LINKS
    lasts_s: float | None = None
    at_least_one: bool = False
    measured: bool = False

    def parameter(self, name: str) -> Parameter | None:
        """The parameter `name`; Python's spelling of it is one, too."""
        wanted = name.replace("_", "-")
        return next((p for p in self.parameters if p.name == wanted), None)


KINDS: dict[str, FaultKind] = {}


def kind(
    name: str,
    help_text: str,
    *targets: Accepted,
    parameters: tuple[Parameter, ...] = (),
    rank: int = LINKS,
    lasts_s: float | None = None,
    at_least_one: bool = False,
    measured: bool = False,
) -> Callable[[Change], Change]:
    """Register the function below as what a kind of fault does."""

    def register(change: Change) -> Change:
        about = (parameters, rank, lasts_s, at_least_one, measured)
        KINDS[name] = FaultKind(name, help_text, targets, change, *about)
        return change

    return register


def number(fault: Fault, name: str) -> float:
    """The value of a parameter that is a number; 0 when it is not given."""
    value: Value = fault.values.get(name, 0)
    return float(value)


def text(fault: Fault, name: str) -> str:
    """The value of a parameter as a text; empty when it is not given."""
    return str(fault.values.get(name, ""))
