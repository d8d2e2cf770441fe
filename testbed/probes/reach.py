"""Who reaches whom, measured by packets and compared with what AWS's rules predict."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from testbed.errors import HostError, TestbedError, UsageError, no_such_node

if TYPE_CHECKING:
    from testbed.control.client import Client
    from testbed.predict import Endpoint, World
    from testbed.predict.packet import Address, Protocol
    from testbed.topology.model import Topology

HTTP, ECHO = 80, 7
AT_ONCE = 8  # nodes that send at the same time
WAIT_S = 1.0  # for an answer, the first time
ATTEMPTS = 3  # before a difference counts: a first packet may wait for neighbours
GRACE_S = 60.0  # for a slow guest
TRACED = 10  # of what is not as predicted: the rest is like it
ANSWERED, REFUSED, SILENT = "answered", "refused", "silent"
REACHED = (ANSWERED, REFUSED)  # something at the far end spoke

Predicted = tuple[bool | None, str, bool]
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a port of an address; ICMP's is an echo request to port 0."""

    source: str
    destination: str
    address: Address
    protocol: Protocol
    port: int = 0

    @property
    def kind(self) -> str:
        """Protocol and port, as people write them."""
        return self.protocol if self.protocol == "icmp" else f"{self.protocol}/{self.port}"


@dataclass(frozen=True, slots=True)
class Reach:
    """What came of a request, and what the rules predict.

    `measured` is ``answered``, ``refused`` (by the far end itself: nothing
    listens there), ``silent``, or an error's text. `predicted` is None where
    the rules are not followed so far; `reason` says why, or what blocks it.
    """

    request: Request
    measured: str
    predicted: bool | None
    reason: str
    one_way: bool = False  # the rules let the request in, and lead its answer elsewhere

    @property
    def reached(self) -> bool:
        """Whether the far end was reached, and its answer came back."""
        return self.measured in REACHED

    @property
    def agrees(self) -> bool:
        """Whether packets do what the rules say, as far as they say something."""
        return self.predicted in (None, self.reached)

    def to_json(self) -> dict[str, Any]:
        """As `testbed reach --json` prints it."""
        request = self.request
        return {
            "source": request.source,
            "destination": request.destination,
            "address": str(request.address),
            "protocol": request.protocol,
            "port": request.port,
            "measured": self.measured,
            "reached": self.reached,
            "predicted": self.predicted,
            "reason": self.reason,
            "one_way": self.one_way,
            "agrees": self.agrees,
        }


def choose(endpoints: Sequence[Endpoint], names: Iterable[str], testbed: str) -> list[Endpoint]:
    """The endpoints of these names, all without any; UsageError for one that is none."""
    wanted = list(names)
    known = {endpoint.name: endpoint for endpoint in endpoints}
    for name in wanted:
        if name not in known:
            raise no_such_node(name, testbed, list(known))
    return [known[name] for name in dict.fromkeys(wanted)] or list(endpoints)


def requests(
    sources: Iterable[Endpoint],
    destinations: Sequence[Endpoint],
    *,
    tcp: Sequence[int] = (),
    udp: Sequence[int] = (),
    icmp: bool = False,
) -> list[Request]:
    """Every request between these that is asked for.

    Without any kind: ICMP, TCP 80, and UDP 7 where something answers. Each
    address of a destination is tried but where it is the source's own, or of
    IPv6 and the source has none of that.
    """
    everything = not (tcp or udp or icmp)
    found = []
    for source in sources:
        for destination in destinations:
            if destination.name == source.name:
                continue
            kinds: list[tuple[Protocol, int]] = [("icmp", 0)] if icmp or everything else []
            kinds += [("tcp", port) for port in tcp or ((HTTP,) if everything else ())]
            quiet = "echo" not in destination.services
            kinds += [("udp", port) for port in udp or (() if quiet or not everything else (ECHO,))]
            found += [
                Request(source.name, destination.name, address, protocol, port)
                for address in destination.addresses
                if address not in source.addresses and source.address_for(address) is not None
                for protocol, port in kinds
            ]
    if not found:
        raise UsageError("there is nothing to test", hint="name two different endpoints")
    return found


def predict(world: World, wanted: Iterable[Request]) -> dict[Request, Predicted]:
    """What the rules say of each request: whether it is answered, why not, whether it gets in."""
    endpoints = {endpoint.name: endpoint for endpoint in world.endpoints()}
    found: dict[Request, Predicted] = {}
    for request in wanted:
        source, destination = endpoints[request.source], endpoints[request.destination]
        verdict = world.verdict(source, request.address, request.protocol, request.port)
        answers = request.port == ECHO and "echo" in destination.services
        if verdict.answered and request.protocol == "udp" and not answers:
            found[request] = None, "nothing is known to answer there", False
        else:
            found[request] = verdict.answered, verdict.reason, verdict.one_way
    return found


def measure(
    client: Client,
    wanted: Sequence[Request],
    seconds: float = WAIT_S,
    on_progress: OnProgress = lambda _, __: None,
) -> dict[Request, str]:
    """Send all of them, those of a node at once, and say what came of each."""
    by_source: dict[str, list[Request]] = {}
    for request in wanted:
        by_source.setdefault(request.source, []).append(request)

    def run(source: str) -> dict[Request, str]:
        own = by_source[source]
        rows = [{"to": str(r.address), "protocol": r.protocol, "port": r.port} for r in own]
        task = json.dumps({"seconds": seconds, "requests": rows}).encode()
        limit = GRACE_S + seconds * (1 + len(rows) // 100)
        done = client.run(source, ["testbed-requests"], input=task, timeout=limit)
        if done.returncode:
            hint = done.stderr.decode(errors="replace").strip() or None
            raise HostError(f"probing from {source} failed", hint=hint)
        return dict(zip(own, map(_measured, json.loads(done.stdout)), strict=True))

    seen: dict[Request, str] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(run, source) for source in by_source]
        try:
            for task in as_completed(running):
                seen |= task.result()
                on_progress(len(seen), len(wanted))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return seen


def _measured(row: dict[str, Any]) -> str:
    """What came of a request in a word, or an error in the kernel's."""
    if row["answer"]:
        return REFUSED if row["answer"] == "refused" else ANSWERED
    code = getattr(errno, row["error"] or "ETIMEDOUT")
    return SILENT if code == errno.ETIMEDOUT else os.strerror(code).lower()


def compare_all(
    client: Client,
    topology: Topology,
    sources: Iterable[str] = (),
    destinations: Iterable[str] = (),
    *,
    tcp: Sequence[int] = (),
    udp: Sequence[int] = (),
    icmp: bool = False,
    seconds: float = WAIT_S,
    on_progress: OnProgress = lambda _, __: None,
) -> list[Reach]:
    """Measure requests between endpoints of these names, or all, and compare them."""
    from testbed.predict import World  # noqa: PLC0415

    world = World(topology)
    endpoints = world.endpoints()
    wanted = requests(
        choose(endpoints, sources, topology.name),
        choose(endpoints, destinations, topology.name),
        tcp=tcp,
        udp=udp,
        icmp=icmp,
    )
    rows = compare(client, world, wanted, seconds=seconds, on_progress=on_progress)
    return explained(client, rows)


def explained(client: Client, rows: Sequence[Reach]) -> list[Reach]:
    """The same, each that should have been answered and was not with what a trace says of it.

    At most `TRACED` are traced: an answer that is waited for takes seconds.
    """
    left = TRACED
    found = []
    for row in rows:
        if row.agrees or row.reason:
            found.append(row)
        elif left:
            left -= 1
            found.append(replace(row, reason=_traced(client, row.request)))
        else:
            hint = f"the rules let it pass: see testbed trace {row.request.source}"
            found.append(replace(row, reason=f"{hint} {row.request.address}"))
    return found


def _traced(client: Client, request: Request) -> str:
    from testbed.probes.trace import trace  # noqa: PLC0415

    plan, _ = client.plan()
    try:
        seen = trace(
            client,
            plan,
            request.source,
            str(request.address),
            protocol=request.protocol,
            port=request.port,
        )
    except TestbedError as error:
        return f"the rules let it pass; it cannot be traced: {error}"
    if seen.answered:
        return f"the rules let it pass, and so does the network now: {seen.sentence}"
    return f"the rules let it pass: {seen.sentence}"


def compare(
    client: Client,
    world: World,
    wanted: Sequence[Request],
    *,
    seconds: float = WAIT_S,
    attempts: int = ATTEMPTS,
    on_progress: OnProgress = lambda _, __: None,
) -> list[Reach]:
    """Measure all requests and compare them with the rules.

    What differs is measured again, `attempts` times in all and with more
    patience, before it counts.
    """
    expected = predict(world, wanted)
    found: dict[Request, Reach] = {}
    left = list(wanted)
    for attempt in range(attempts):
        seen = measure(client, left, seconds * (attempt + 1), on_progress)
        found |= {
            request: Reach(request, text, *expected[request]) for request, text in seen.items()
        }
        left = [request for request in left if not found[request].agrees]
        if not left:
            break
    return [found[request] for request in wanted]
