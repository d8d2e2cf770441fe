"""Bringing testbeds up and down: what the command line and the pytest plugin share."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from testbed.control import registry
from testbed.control.client import Client
from testbed.errors import HostError, TestbedError, UsageError
from testbed.kernel import host_interfaces
from testbed.lifecycle import start

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from testbed.control.frames import Connection
    from testbed.plan.model import Plan

DEFAULT_TIMEOUT_S = 120.0
HELLO_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 20.0  # a keeper that has this long no moment for a word has to be killed


@dataclass(frozen=True)
class Outcome:
    """How an `up` went.

    `first` says whether it started the testbed, `pending` what is not ready
    (title and state of each), `timings` the milliseconds of each phase,
    `notices` what of the running testbed had to be made anew, `faults` the
    names of those in force, with which not everything need be ready, `hopeless`
    why what is not ready was not waited for any longer, `lease` the connection
    with which it ends, where it is held.
    """

    name: str
    first: bool
    changed: bool
    steps: int
    nodes: int
    links: int
    pending: list[dict[str, str]]
    timings: dict[str, float] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    hopeless: str | None = None
    lease: Connection | None = None
    revision: int = 0

    def to_json(self) -> dict[str, Any]:
        """As `testbed up --json` prints it."""
        return {
            "name": self.name,
            "started": self.first,
            "changed": self.changed,
            "revision": self.revision,
            "steps": self.steps,
            "nodes": self.nodes,
            "links": self.links,
            "ok": not self.pending or bool(self.faults),
            "pending": self.pending,
            "hopeless": self.hopeless,
            "notices": self.notices,
            "faults": self.faults,
            "timings": {phase: round(ms, 1) for phase, ms in self.timings.items()},
        }


def links_of(plan: Plan) -> int:
    """How many cables the plan has."""
    ends = sum(i.device.kind == "veth" for node in plan.nodes for i in node.interfaces)
    return ends // 2


def bring_up(
    plan: Plan,
    *,
    made_from: Mapping[str, Any] | None = None,
    vm: str = "auto",
    wait: bool = True,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    take: Collection[str] = (),
    hold: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> Outcome:
    """Start the testbed that the plan names, or bring the running one to the plan.

    When a first `up` fails, nothing of it is left; one that only misses its
    deadline leaves the testbed running, and `pending` says what is not ready.
    `take` names host interfaces that are attached though the host uses them.
    With `hold` it ends with this process if it is started here, from its first
    moment on. `made_from` is what the plan was made from, as `Client.apply` takes it.
    """
    name = plan.name
    host_interfaces.require(plan, take)
    started = time.perf_counter()
    needed = _with_all_faults(plan)
    first = start.ensure_running(name, vm=vm, plan=needed, on_progress=on_progress)
    starting = (time.perf_counter() - started) * 1000
    try:
        client = Client.connect(name)
        result = client.apply(
            plan,
            wait=wait,
            timeout_s=timeout_s,
            made_from=made_from,
            hold=hold and first,
            on_event=on_event,
        )
    except BaseException:
        if first:
            _discard(name)
        raise
    finally:
        start.let_go(name)
    timings = ({"start": starting} if first else {}) | dict(result.get("timings") or {})
    return _outcome(plan, result, first=first, timings=timings, lease=client.lease)


def _outcome(
    plan: Plan,
    result: Mapping[str, Any],
    *,
    first: bool,
    timings: dict[str, float],
    lease: Connection | None,
) -> Outcome:
    """What the keeper's answer to an `apply` says."""
    return Outcome(
        name=plan.name,
        first=first,
        changed=bool(result["changed"]),
        steps=int(result["steps"]),
        nodes=len(plan.nodes),
        links=links_of(plan),
        pending=list(result.get("pending") or ()),
        notices=list(result.get("notices") or ()),
        faults=list(result.get("faults") or ()),
        hopeless=result.get("hopeless"),
        timings=timings,
        lease=lease,
        revision=int(result.get("revision") or 0),
    )


def _with_all_faults(plan: Plan) -> Plan:
    """The plan as it is with all its faults in force, for what the kernel has to be able to do."""
    if not plan.faults:
        return plan
    from testbed.faults.catalog import compose  # noqa: PLC0415

    try:
        return compose(plan, plan.faults)
    except UsageError:  # two of them are never in force at once
        return plan


def _discard(name: str) -> None:
    """Take down what a failed first `up` has started, unless another one has succeeded since."""
    try:
        if Client.connect(name).hello(HELLO_TIMEOUT_S).get("ready"):
            return
    except (TestbedError, TimeoutError):
        pass
    if registry.alive(name):  # of a micro VM that died the console is kept
        take_down(name)
    registry.sweep()


def take_down(name: str) -> bool:
    """End a testbed and wait until nothing of it is left; False when it did not run.

    What is kept of one whose micro VM died goes, too.
    """
    was_running = registry.alive(name)
    if was_running:
        start.end(name, lambda: _ask_to_stop(name))
    registry.sweep()
    start.forget(name)
    if was_running and registry.alive(name):
        raise HostError(f"testbed {name} does not end", hint="see `testbed list` for its process")
    return was_running


def _ask_to_stop(name: str) -> None:
    """Ask a testbed to end; TimeoutError when it does not even say who it is."""
    client = Client(name)
    client.hello(ANSWER_TIMEOUT_S)
    client.stop()
