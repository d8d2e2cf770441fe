"""Driving a testbed from tests: the handles that the pytest fixture `testbed` gives.

They work without pytest, too: `Testbed.up("rack.yaml")` in any program.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from testbed.bringup import (
    address_of,
    bring_up,
    load_topology,
    lower_topology,
    origin_of,
    running_topology,
    take_down,
    with_time,
)
from testbed.client import Client, Completed
from testbed.errors import HostError, NetworkError, UsageError
from testbed.plan.model import Plan
from testbed.protocol import netns_link

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from pyroute2 import IPRoute

    from testbed.probes.capture import Capture
    from testbed.probes.http import HttpReply
    from testbed.probes.ping import PingResult
    from testbed.probes.reach import Reach
    from testbed.topology.model import Topology

    Source = str | Path | Topology | Plan

T = TypeVar("T")
RUN_TIMEOUT_S = 60.0
POLL_S = 0.05


def eventually(
    function: Callable[[], T],
    timeout: float = 10.0,
    *,
    interval: float = POLL_S,
    clock: Testbed | None = None,
) -> T:
    """Call `function` until it returns something true, and return that.

    An AssertionError or NetworkError that it raises counts as not yet. When
    `timeout` seconds are over: AssertionError with the last value or error.
    With a `clock` they are seconds of that testbed: one whose time is virtual
    does not go on by itself between two calls.
    """
    virtual = clock is not None and clock.is_virtual
    now = clock.elapsed if clock is not None and virtual else time.monotonic
    sleep = clock.advance if clock is not None and virtual else time.sleep
    deadline = now() + timeout
    while True:
        cause: Exception | None = None
        last = ""
        try:
            value = function()
            if value:
                return value
            last = f"the last value was {value!r}"
        except (AssertionError, NetworkError) as error:
            cause, last = error, f"the last error was: {error}"
        if now() >= deadline:
            raise AssertionError(f"not true within {timeout:g} s; {last}") from cause
        sleep(interval)


class Node:
    """A node of a running testbed."""

    def __init__(self, testbed: Testbed, name: str) -> None:
        self._testbed = testbed
        self.name = name

    def __repr__(self) -> str:
        return f"<Node {self.name} of {self._testbed.name}>"

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """The node's first address; on `lo` only where it has no other."""
        return address_of(self._testbed.plan, self.name)

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: bytes | None = None,  # noqa: A002 - the name that subprocess.run has
        env: Mapping[str, str] | None = None,
        timeout: float | None = RUN_TIMEOUT_S,
    ) -> Completed:
        """Run a command; with `check`, NetworkError with what it wrote when it fails."""
        if isinstance(argv, str):
            raise UsageError("run() takes a list of words, not a command line for a shell")
        done = self._testbed.client.run(self.name, argv, input=input, env=env, timeout=timeout)
        if check and done.returncode:
            message = f"{' '.join(argv)} in {self.name}: exit status {done.returncode}"
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise NetworkError(message, hint=said or None)
        return done

    def ping(
        self,
        destination: Node | str,
        *,
        count: int = 3,
        size: int = 56,
        df: bool = False,
        interval_s: float = 0.2,
    ) -> PingResult:
        """Ping a node or an address. `size` is the payload: the IP packet has 28 bytes more."""
        from testbed.probes.ping import ping  # noqa: PLC0415

        address = self._testbed.address(destination)
        return ping(
            self._testbed.client,
            self.name,
            address,
            count=count,
            size=size,
            df=df,
            interval_s=interval_s,
        )

    def capture(self, interface: str = "eth0", filter: str = "") -> Capture:  # noqa: A002
        """Capture in a `with` block what pcap-filter(7) `filter` lets through."""
        from testbed.probes.capture import Capture  # noqa: PLC0415
        from testbed.probes.capture_points import point  # noqa: PLC0415

        place = point(self._testbed.plan.node(self.name), interface)
        return Capture(self._testbed.client, [place], filter)

    def iproute(self) -> IPRoute:
        """The node's kernel tables as pyroute2's `IPRoute`; use it in a `with` block.

        Only where the testbed is root's and runs on this kernel: HostError in a
        micro VM and without root, where `run(["ip", "-json", …])` does.
        """
        from testbed.kernel.namespace import iproute  # noqa: PLC0415

        link = netns_link(self._testbed.name, self.name)
        if not link.exists():
            hint = 'use run(["ip", "-json", …]) there'
            text = "runs in a micro VM, or as an ordinary user: its namespaces can't be entered"
            raise HostError(f"{self._testbed.name} {text}", hint=hint)
        return iproute(link)

    def http(self, url: str, *, timeout_s: float = 5.0) -> HttpReply:
        """GET an http URL; a host that is a node's name stands for its address."""
        from urllib.parse import urlsplit  # noqa: PLC0415

        from testbed.probes.http import get  # noqa: PLC0415

        host = urlsplit(url).hostname or ""
        if any(node.name == host for node in self._testbed.plan.nodes):
            url = url.replace(host, self._testbed.address(host), 1)
        return get(self._testbed.client, self.name, url, timeout_s=timeout_s)


class Testbed:
    """A running testbed."""

    __test__ = False  # pytest would collect the class by its name

    def __init__(self, name: str) -> None:
        self.client = Client(name)
        self.name = name
        self._plan: Plan | None = None
        self._original: Plan | None = None
        self._origin: Any = None  # what the original was made from

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
    ) -> Self:
        """Bring a topology up and wait until it is ready.

        Raises TestbedError as `testbed up` does; when not everything is ready
        in time it is taken down again, and the NetworkError says what was missing.
        `take` names host interfaces that are attached though the host uses them.
        """
        plan = with_time(plan_of(source, settings, name), time, seed)
        origin = origin_of(source, settings)
        outcome = bring_up(plan, vm=vm, timeout_s=timeout_s, take=take, source=origin)
        if outcome.pending:
            take_down(plan.name)
            raise _not_ready(outcome.pending, timeout_s)
        testbed = cls(plan.name)
        testbed._plan = testbed._original = plan
        testbed._origin = origin
        return testbed

    def down(self) -> None:
        """End it."""
        take_down(self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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

    @property
    def nodes(self) -> list[Node]:
        """All nodes."""
        return [Node(self, node.name) for node in self.plan.nodes]

    @property
    def plan(self) -> Plan:
        """What runs."""
        if self._plan is None:
            self._plan, source = self.client.plan()
            if self._original is None:
                self._original, self._origin = self._plan, source
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
        from testbed.probes.reach import compare_all  # noqa: PLC0415

        topology = running_topology(self.client)
        return compare_all(self.client, topology, sources, to, tcp=tcp, udp=udp, icmp=icmp)

    def status(self) -> dict[str, Any]:
        """The state of everything, as `testbed status --json` prints it."""
        return self.client.status()

    def events(self) -> list[dict[str, Any]]:
        """What has happened, oldest first, as `testbed events --json` prints it."""
        return self.client.events()

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

        NetworkError when not everything is ready in time. The fixture puts
        the original back after the test.
        """
        plan = with_time(plan_of(source, settings, self.name), self.plan.time, self.plan.seed)
        origin = self._origin if source is self._original else origin_of(source, settings)
        self._plan = None
        result = self.client.apply(plan, wait=wait, timeout_s=timeout_s, source=origin)
        self._plan = plan
        if result.get("pending"):
            raise _not_ready(result["pending"], timeout_s)
        return result

    def restore(self) -> None:
        """Put back what `up` brought up, if `apply` has changed it."""
        if self._original is not None and self._plan is not self._original:
            self.apply(self._original)
            self._plan = self._original

    def problems(self) -> list[str]:
        """What is not as it should be, one line each."""
        return [
            f"{row.get('title')}: {row.get('state')}"
            for rows in self.status().values()
            if isinstance(rows, list)
            for row in rows
            if not row.get("ok")
        ]


def plan_of(source: Source, settings: Mapping[str, str] | None, name: str | None) -> Plan:
    """The plan of a topology file, a topology or a plan, under `name` if given."""
    if isinstance(source, Plan):
        return replace(source, name=name) if name else source
    if isinstance(source, str | Path):
        return lower_topology(load_topology(source, settings or {}, name))
    return lower_topology(replace(source, name=name) if name else source)


def _not_ready(pending: Sequence[Mapping[str, str]], timeout_s: float) -> NetworkError:
    rows = "\n".join(f"{row['title']}: {row['state']}" for row in pending)
    return NetworkError(f"{len(pending)} not ready after {timeout_s:g} s", hint=rows)
