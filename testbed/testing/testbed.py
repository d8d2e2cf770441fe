"""The handle of a running testbed for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from testbed.control.client import Client
from testbed.errors import ConflictError, UsageError
from testbed.lifecycle.addresses import address_of
from testbed.lifecycle.bringup import DEFAULT_TIMEOUT_S, bring_up, take_down
from testbed.plan import codec
from testbed.plan.model import Plan
from testbed.plan.roles import Role
from testbed.testing import places
from testbed.testing.installing import State, not_ready, require_ready, state_of
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
    from testbed.testing.installing import Source
    from testbed.testing.users import User, Users

T = TypeVar("T")


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
        """Bring up a topology (a file, a name or a `Topology`) or a plan; wait until it is ready.

        `settings` are the variables of a template; `vm` is as `testbed up --vm`. Waits at most
        `timeout_s` seconds; if not everything is ready by then, takes the testbed down again
        and raises NetworkError, which says what was missing. Raises TestbedError as `testbed up`
        does. `take` names host interfaces to attach even though the host uses them. With `hold`
        the testbed ends with this process, even if that is killed, unless it ran before.
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
            raise not_ready(outcome.pending, self._how["timeout_s"], outcome.hopeless)
        self._plan, self._revision = plan, outcome.revision
        self._lease = outcome.lease

    def down(self) -> None:
        """Take the testbed down."""
        take_down(self.name)
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def rebuild(self) -> None:
        """Take the testbed down and bring it up again as `up` did. Raises the errors of `up`."""
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
        """Return the node `name`. Raises UsageError if there is none."""
        if all(node.name != name for node in self.plan.nodes):
            known = ", ".join(node.name for node in self.plan.nodes)
            raise UsageError(f"no node {name!r} in {self.name}", hint=f"nodes: {known}")
        return Node(self, name)

    def device(self, name: str) -> Node:
        """Return the customer device or Outpost networking device `name`."""
        roles = (Role.CUSTOMER_DEVICE, Role.NETWORKING_DEVICE)
        places.require_role(self.plan, name, roles, "network device")
        return Node(self, name)

    def instance(self, name: str) -> Node:
        """Return the instance `name`."""
        places.require_role(self.plan, name, (Role.INSTANCE,), "instance")
        return Node(self, name)

    def link(self, a: Node | str, b: Node | str) -> places.Link:
        """Return the cables between two nodes. Raises UsageError if there are none."""
        return places.Link(self, str(a), str(b))

    def outpost(self, name: str) -> places.Outpost:
        """Return the Outpost `name`."""
        return places.Outpost(self, name)

    @property
    def nodes(self) -> list[Node]:
        """Return all nodes."""
        return [Node(self, node.name) for node in self.plan.nodes]

    @property
    def plan(self) -> Plan:
        """Return the running plan."""
        if self._plan is None:
            answer = self.client.document(plan=True)
            self._plan = codec.from_json(answer["plan"])
            if self._original is None:
                made_from = {"document": answer["document"], "numbers": answer["numbers"]}
                self._original, self._revision = State(self._plan, made_from), answer["revision"]
        return self._plan

    def address(self, destination: Node | str, source: str | None = None) -> str:
        """Return the address of a node, or `destination` itself if no node has this name.

        For a `source` in the customer's network it is the one that the node has there, if any.
        """
        name = str(destination)
        try:
            return address_of(self.plan, name, source=source)
        except KeyError:
            return name

    def capture(self, *places: str, filter: str = "") -> Capture:  # noqa: A002
        """Capture on many interfaces in a `with` block.

        `places` are those of `testbed capture`; the default is all cables and tunnels. A
        packet's interface is its ``sniffed_on``, `filter` a pcap-filter(7).
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
        """Return the state of everything, as `testbed status --json` prints it."""
        return self.client.status()

    def events(self, since: float = 0.0) -> list[dict[str, Any]]:
        """Return what has happened since then (s), oldest first, as `testbed events --json`."""
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
        """Return whether its time is virtual."""
        return self.plan.time == "virtual"

    def elapsed(self) -> float:
        """Return for how many seconds the testbed's clock has run."""
        return float(self.client.hello()["clock"]["elapsed_s"])

    def advance(self, seconds: float) -> float:
        """Let this many seconds pass: at once if time is virtual, else by waiting.

        Returns for how many seconds the testbed's clock has run then.
        """
        return float(self.client.advance(seconds)["clock"]["elapsed_s"])

    def eventually(
        self, function: Callable[[], T], timeout: float = 10.0, *, interval: float = POLL_S
    ) -> T:
        """Call `function` until it returns something true, as `testbed.testing.eventually` does.

        Timeout and interval are in seconds of the testbed's own time.
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
        """Update the testbed to another topology or plan, live; only the differences are applied.

        Raises NetworkError if not everything is ready within `timeout_s` seconds although no
        fault is active. The fixture restores the original after the test.
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
        require_ready(result, how.get("timeout_s", DEFAULT_TIMEOUT_S))
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

        before, self._plan = self.plan, None
        try:
            edited = edit(self.client, change, wait=wait, timeout_s=timeout_s)
        except ConflictError:
            raise
        except UsageError:  # nothing has changed
            self._plan = before
            raise
        self._plan = edited.installation.plan
        require_ready(edited.result, timeout_s)
        return edited.result

    def fault(self, kind: str, target: str, **values: Any) -> Fault:
        """Return a fault for a `with` block, healed at its end (docs/faults.md).

        `values` are the kind's parameters, and `at`, `for_`, `every` and `name`.
        """
        from testbed.testing.fault import Fault  # noqa: PLC0415

        return Fault(self.client, kind, target, values)

    def users(
        self, *users: User | tuple[str, str], every_s: float = 1.0, timeout_s: float = 2.0
    ) -> Users:
        """Return users of services for a `with` block: constant requests, each counted.

        Each is a `User`, or a node and the URL that it asks for, such as
        ``("desk", "http://web/")``; a node's name becomes its address. They ask again `every_s`
        seconds, but not before they have an answer or have waited for `timeout_s` seconds.
        """
        from testbed.testing.users import User, Users  # noqa: PLC0415

        given = [User(*user) if isinstance(user, tuple) else user for user in users]
        for user in given:
            self.node(user.node)
        found = [user.with_address(self.address) for user in given]
        return Users(self.client, found, every_s=every_s, timeout_s=timeout_s)

    def faults(self) -> list[dict[str, Any]]:
        """Return all faults, as in `testbed status --json`."""
        return list(self.status()["faults"])

    def heal(self, *names: str, wait: bool = True, timeout_s: float = 120.0) -> list[str]:
        """Heal these faults, or all. Returns the names of those that existed.

        If no fault is left active, with `wait`, waits until everything is ready again, and
        raises NetworkError if that takes more than `timeout_s` seconds.
        """
        result = self.client.heal(*names, wait=wait, timeout_s=timeout_s)
        if result["pending"]:
            raise not_ready(result["pending"], timeout_s, result["hopeless"])
        return list(result["healed"])

    def restore(self) -> None:
        """Restore what `up` brought up: heal faults that were not declared, undo `apply`."""
        rows = self.client.heal(declared=False)["faults"]
        if self._original is None:
            return
        healed = any(row["state"] == "healed" for row in rows)
        if healed or self.client.hello()["revision"] != self._revision:
            self._revision = int(self._apply(self._original)["revision"])

    def settle(self, timeout_s: float = 30.0) -> list[str]:
        """Wait until the testbed is again as it was brought up.

        Restarts daemons that have died. Returns what is not ready within `timeout_s` seconds,
        one line each.
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
        """Return what is not as it should be, one line each."""
        from testbed.testing.fault import problems  # noqa: PLC0415

        return problems(self.status())
