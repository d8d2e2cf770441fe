"""What the kernel's refusal of a step means, in words."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from testbed.plan import steps as s

if TYPE_CHECKING:
    from testbed.kernel.netlink import Failure

_GONE = {errno.ENODEV, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENOENT, errno.ENXIO}
_MISSING_FEATURE = {errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT}

_WORDS: dict[type, str] = {
    s.CreateNode: "bringing lo up",
    s.CreateInterface: "making {step.interface.device.kind} {step.interface.name}",
    s.SetInterface: "setting {step.changed} of {step.interface.name}",
    s.DeleteInterface: "removing interface {step.interface}",
    s.SetNetem: "netem on {step.interface}",
    s.AddAddress: "adding address {step.address} to {step.interface}",
    s.DeleteAddress: "removing address {step.address} from {step.interface}",
    s.SetNeighbor: "setting neighbour {step.neighbor.address} on {step.neighbor.dev}",
    s.DeleteNeighbor: "removing neighbour {step.neighbor.address} on {step.neighbor.dev}",
    s.SetRoute: "route {step.route.destination} in table {step.route.table}",
    s.DeleteRoute: "removing route {step.route.destination} in table {step.route.table}",
    s.AddRule: "rule with priority {step.rule.priority}",
    s.DeleteRule: "removing rule with priority {step.rule.priority}",
}


def tolerable(step: s.Step, failure: Failure) -> bool:
    """Whether things are as the step wants them although the kernel refused it."""
    if isinstance(step, s.AddRule):
        return failure.errno == errno.EEXIST
    if isinstance(step, s.SetNetem):
        return step.netem is None and failure.errno in _GONE | {errno.EINVAL}
    deletes = s.DeleteRule | s.DeleteRoute | s.DeleteNeighbor | s.DeleteAddress | s.DeleteInterface
    return isinstance(step, deletes) and failure.errno in _GONE


def describe(step: s.Step) -> str:
    """A step in a few words, for an error."""
    words = _WORDS.get(type(step))
    return words.format(step=step) if words else type(step).__name__


def hint(step: s.Step, failure: Failure) -> str | None:
    """The remedy, when it is known."""
    if failure.errno in _MISSING_FEATURE:
        what = "the network"
        if isinstance(step, s.CreateInterface):
            what = f"interfaces of kind {step.interface.device.kind}"
        elif isinstance(step, s.SetNetem):
            what = "netem"
        return f"the kernel has no support for {what}: see `testbed doctor`, or use --vm always"
    if failure.errno == errno.EPERM:
        return "containers restrict even their root; a micro VM does not: --vm always"
    if isinstance(step, s.SetRoute) and failure.errno in {errno.ENETUNREACH, errno.EINVAL}:
        return f"is {step.route.via} reachable on an interface of the node that is up?"
    return None
