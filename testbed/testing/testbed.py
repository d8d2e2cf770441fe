"""A running testbed, as a test sees it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from testbed.control.client import Client
from testbed.errors import NetworkError, UsageError
from testbed.lifecycle.bringup import (
    DEFAULT_TIMEOUT_S,
    address_of,
    bring_up,
    lower_topology,
    take_down,
    with_time,
)
from testbed.plan import codec
from testbed.plan.model import Plan
from testbed.plan.roles import Role
from testbed.testing import places
from testbed.testing.node import Node
from testbed.testing.polling import POLL_S, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from testbed.control.frames import Connection
    from testbed.lifecycle.live import Edit
    from testbed.probes.capture import Capture
    from testbed.probes.reach import Reach
    from testbed.probes.trace import Probing, Protocol, Trace
    from testbed.testing.fault import Fault
    from testbed.topology.model import Topology

    Source = str | Path | Topology | Plan

T = TypeVar("T")


class State(NamedTuple):
    """What a testbed can be brought to: a plan, and what that was made from."""

    plan: Plan
    made_from: dict[str, Any]


class Testbed:
    """A running testbed."""

    __test__ = False  # pytest would collect the class by its name

    def __init__(self, name: str) -> None:
        self.client = Client(name)
        self.name = name
        self._plan: Plan | None = None
        self._original: State | None = None
        self._revision: int | None = None  # of the original, where that is what runs
        self._how: dict[str, Any] = {}  # it was brought up: where, in which time, from what
        self._lease: Connection | None = None

    @classmethod
    def up(
        cls,
        source: Source,
        settings: Mapping[str, str] | None = None,
        *,
        name: str | None = None,
        vm: str = "auto",
        timeout_s: float = 120.0,
        take: Sequence[str] = (),
        time: str | None = None,
        seed: int | None = None,
        hold: bool = False,
    ) -> Self:
        """Bring a topology up and wait until it is ready.

        Raises TestbedError as `testbed up` does; when not everything is ready
        in time it is taken down again, and the NetworkError says what was missing.
        `take` names host interfaces that are attached though the host uses them.
        With `hold` it ends with this process, even when that is killed, unless
        it ran before.
        """
        state = state_of(source, settings, name, time=time, seed=seed)
        testbed = cls(state.plan.name)
        testbed._original = state
        testbed._how = {"vm": vm, "timeout_s": timeout_s, "take": take}
        testbed._bring_up(hold=hold)
        return testbed

    def _bring_up(self, *, hold: bool) -> None:
        assert self._original is not None
        plan, made_from = self._original
        outcome = bring_up(plan, made_from=made_from, hold=hold, **self._how)
        if outcome.pending and not outcome.faults:
            take_down(self.name)
            raise _not_ready(outcome.pending, self._how["timeout_s"], outcome.hopeless)
        self._plan, self._revision = plan, outcome.revision
        self._lease = outcome.lease

    def down(self) -> None:
        """End it."""
        take_down(self.name)
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def rebuild(self) -> None:
        """Take it down, and bring up again what `up` has brought up; errors as of `up`."""
        if not self._how:
            raise UsageError(f"{self.name} was not brought up by this program")
        hold = self._lease is not None
        self.down()
        self._bring_up(hold=hold)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def __repr__(self) -> str:
        return f"<Testbed {self.name}>"

    def __getitem__(self, name: str) -> Node:
        return self.node(name)

    def node(self, name: str) -> Node:
        """The node `name`; UsageError when there is none."""
        if all(node.name != name for node in self.plan.nodes):
            known = ", ".join(node.name for node in self.plan.nodes)
            raise UsageError(f"no node {name!r} in {self.name}", hint=f"nodes: {known}")
        return Node(self, name)

    def device(self, name: str) -> Node:
        """The customer's network device, or the Outpost's networking device, `name`."""
        roles = (Role.CUSTOMER_DEVICE, Role.NETWORKING_DEVICE)
        places.require_role(self.plan, name, roles, "network device")
        return Node(self, name)

    def instance(self, name: str) -> Node:
        """The instance `name`."""
        places.require_role(self.plan, name, (Role.INSTANCE,), "instance")
        return Node(self, name)

    def link(self, a: Node | str, b: Node | str) -> places.Link:
        """The cables between two nodes; UsageError when there are none."""
        return places.Link(self, str(a), str(b))

    def outpost(self, name: str) -> places.Outpost:
        """The Outpost `name`."""
        return places.Outpost(self, name)

    @property
    def nodes(self) -> list[Node]:
        """All nodes."""
        return [Node(self, node.name) for node in self.plan.nodes]

    @property
    def plan(self) -> Plan:
        """What runs."""
        if self._plan is None:
            answer = self.client.document(plan=True)
            self._plan = codec.from_json(answer["plan"])
            if self._original is None:
                made_from = {"document": answer["document"], "numbers": answer["numbers"]}
                self._original, self._revision = State(self._plan, made_from), answer["revision"]
        return self._plan

    def address(self, destination: Node | str) -> str:
        """The address of a node, or `destination` itself where no node is called so."""
        name = str(destination)
        try:
            return address_of(self.plan, name)
        except KeyError:
            return name

    def capture(self, *places: str, filter: str = "") -> Capture:  # noqa: A002
        """Capture on many interfaces in a `with` block; `places` as `testbed capture` has them.

        Without any: all cables and tunnels. Packets know theirs as ``sniffed_on``.
        """
        from testbed.probes.capture import Capture  # noqa: PLC0415
        from testbed.probes.capture_points import select  # noqa: PLC0415

        return Capture(self.client, select(self.plan, places), filter)

    def reach(
        self,
        sources: Sequence[str] = (),
        to: Sequence[str] = (),
        *,
        tcp: Sequence[int] = (),
        udp: Sequence[int] = (),
        icmp: bool = False,
    ) -> list[Reach]:
        """Measure who reaches whom, and compare it with AWS's rules, as `testbed reach` does."""
        from testbed.lifecycle.live import running_topology  # noqa: PLC0415
        from testbed.probes.reach import compare_all  # noqa: PLC0415

        topology = running_topology(self.client)
        return compare_all(self.client, topology, sources, to, tcp=tcp, udp=udp, icmp=icmp)

    def status(self) -> dict[str, Any]:
        """The state of everything, as `testbed status --json` prints it."""
        return self.client.status()

    def events(self, since: float = 0.0) -> list[dict[str, Any]]:
        """What has happened since then (s), oldest first, as `testbed events --json` prints it."""
        return self.client.events(since)

    def trace(
        self,
        source: Node | str,
        destination: Node | str,
        *,
        protocol: Protocol = "icmp",
        port: int = 0,
        size: int | None = None,
        df: bool = False,
    ) -> Trace:
        """Send one packet and follow it hop by hop, as `testbed trace` does."""
        from testbed.probes.trace import trace  # noqa: PLC0415

        how: Probing = {"protocol": protocol, "port": port, "size": size, "df": df}
        name = self.node(str(source)).name
        return trace(self.client, self.plan, name, self.address(destination), **how)

    @property
    def is_virtual(self) -> bool:
        """Whether its time is virtual."""
        return self.plan.time == "virtual"

    def elapsed(self) -> float:
        """How many seconds the testbed's clock has run."""
        return float(self.client.hello()["clock"]["elapsed_s"])

    def advance(self, seconds: float) -> float:
        """Let so many seconds pass: at once where time is virtual, else by waiting.

        Returns how long the testbed's clock has run then.
        """
        return float(self.client.advance(seconds)["clock"]["elapsed_s"])

    def eventually(
        self, function: Callable[[], T], timeout: float = 10.0, *, interval: float = POLL_S
    ) -> T:
        """Call `function` until it returns something true, as `testbed.testing.eventually` does.

        Timeout and interval are the testbed's own time.
        """
        return eventually(function, timeout, interval=interval, clock=self)

    def apply(
        self,
        source: Source,
        settings: Mapping[str, str] | None = None,
        *,
        wait: bool = True,
        timeout_s: float = 120.0,
    ) -> dict[str, Any]:
        """Change the testbed to another topology or plan, live; only the difference is applied.

        NetworkError when not everything is ready in time though no fault is in
        force. The fixture puts the original back after the test.
        """
        assert self.plan
        time, seed = self.plan.time, self.plan.seed
        state = state_of(
            source,
            settings,
            self.name,
            time=time,
            seed=seed,
            numbers=lambda _: self.client.document()["numbers"],
        )
        return self._apply(state, wait=wait, timeout_s=timeout_s)

    def _apply(self, state: State, **how: Any) -> dict[str, Any]:
        self._plan = None
        result = self.client.apply(state.plan, made_from=state.made_from, **how)
        self._plan = state.plan
        _require_ready(result, how.get("timeout_s", DEFAULT_TIMEOUT_S))
        return result

    def edit(
        self, change: Edit, *, wait: bool = True, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> dict[str, Any]:
        """Change the testbed's document, live, as operations of `testbed.topology.editing` do.

        `change` is given the document that runs and returns the one that is to be. Raises
        DocumentError, with AWS's error codes, where the rules refuse it, and errors as of
        `apply`. The fixture puts the original back after the test.
        """
        from testbed.lifecycle.live import edit  # noqa: PLC0415 - pydantic is slow to import

        assert self.plan
        self._plan = None
        edited = edit(self.client, change, wait=wait, timeout_s=timeout_s)
        self._plan = edited.installation.plan
        _require_ready(edited.result, timeout_s)
        return edited.result

    def fault(self, kind: str, target: str, **values: Any) -> Fault:
        """A fault for the time of a `with` block, healed at its end (docs/faults.md).

        `values` are the kind's parameters and `at`, `for_`, `every` and `name`.
        """
        from testbed.testing.fault import Fault  # noqa: PLC0415

        return Fault(self.client, kind, target, values)

    def faults(self) -> list[dict[str, Any]]:
        """All faults, as in `testbed status --json`."""
        return list(self.status()["faults"])

    def heal(self, *names: str, wait: bool = True, timeout_s: float = 120.0) -> list[str]:
        """End these faults, or all; the names of those that were there.

        Where none is left in force and with `wait`, until everything is ready again:
        NetworkError when it is not in time.
        """
        result = self.client.heal(*names, wait=wait, timeout_s=timeout_s)
        if result["pending"]:
            raise _not_ready(result["pending"], timeout_s, result["hopeless"])
        return list(result["healed"])

    def restore(self) -> None:
        """Put back what `up` brought up: heal faults that were not declared, undo `apply`."""
        rows = self.client.heal(declared=False)["faults"]
        if self._original is None:
            return
        healed = any(row["state"] == "healed" for row in rows)
        if healed or self.client.hello()["revision"] != self._revision:
            self._revision = int(self._apply(self._original)["revision"])

    def settle(self, timeout_s: float = 30.0) -> list[str]:
        """Wait until it is again as it was brought up; what is not in time, one line each.

        Daemons that have died are started again.
        """
        assert self.plan is not None
        assert self._original is not None
        plan, made_from = self._original
        result = self.client.apply(plan, made_from=made_from, timeout_s=timeout_s)
        self._plan, self._revision = plan, int(result["revision"])
        if result.get("faults"):  # declared: it was brought up with some things not in order
            return []
        return [f"{row['title']}: {row['state']}" for row in result["pending"]]

    def problems(self) -> list[str]:
        """What is not as it should be, one line each."""
        from testbed.testing.fault import problems  # noqa: PLC0415

        return problems(self.status())


def state_of(
    source: Source,
    settings: Mapping[str, str] | None,
    name: str | None,
    *,
    time: str | None = None,
    seed: int | None = None,
    numbers: Callable[[str], Mapping[str, Mapping[str, int]]] | None = None,
) -> State:
    """Return what a testbed of a topology file, a topology or a plan is to be.

    `numbers` is asked for those that its objects have where it runs already.
    """
    if isinstance(source, str | Path):
        from testbed.lifecycle.installation import read_file  # noqa: PLC0415 - pydantic is slow

        how: dict[str, Any] = {} if numbers is None else {"previous": numbers}
        made = read_file(source, settings or {}, name, time=time, seed=seed, **how)
        return State(made.plan, made.made_from())
    plan = source if isinstance(source, Plan) else lower_topology(source)
    plan = with_time(plan, time, seed)
    return State(replace(plan, name=name) if name else plan, {})


def _require_ready(result: Mapping[str, Any], timeout_s: float) -> None:
    if result.get("pending") and not result.get("faults"):
        raise _not_ready(result["pending"], timeout_s, result["hopeless"])


def _not_ready(
    pending: Sequence[Mapping[str, str]], timeout_s: float, hopeless: str | None
) -> NetworkError:
    rows = "\n".join(f"{row['title']}: {row['state']}" for row in pending)
    how = f"and cannot become so: {hopeless}" if hopeless else f"after {timeout_s:g} s"
    return NetworkError(f"{len(pending)} not ready {how}", hint=rows)
