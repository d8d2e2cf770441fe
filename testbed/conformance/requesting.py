"""Requests from nodes to addresses, many at once, and what came back for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Literal

from testbed.conformance.apart import apart
from testbed.conformance.site import Site

Protocol = Literal["icmp", "tcp", "udp"]
ANSWER_S = 0.5  # for those that are not to be answered: longer than any way takes
SETTLE_S = 6.0  # for a neighbour to be found, a route that is on its way
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a node's.

    With a `size` it is that many bytes of IP, with DF set (ICMP only). `device`
    is an interface or VRF of the node's that it is bound to, `source` its source
    address where that is not the kernel's choice.
    """

    node: str
    to: str
    protocol: Protocol = "icmp"
    port: int = 0
    size: int | None = None
    device: str | None = None
    source: str | None = None
    source_port: int | None = None

    def __str__(self) -> str:
        return f"{self.node} to {self.to}, {self.what}"

    @property
    def what(self) -> str:
        """The kind of packet, such as "TCP 80"."""
        if self.protocol == "icmp":
            return "ICMP echo" if self.size is None else f"ICMP echo of {self.size} bytes with DF"
        return f"{self.protocol.upper()} {self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request.

    `answer` is None without any; "refused" is an answer, too, by the machine
    itself. `error` is the errno of an ICMP error (EHOSTUNREACH, EMSGSIZE …) from
    `sender`, with the `mtu` that it names, or of the own kernel (`local`).
    """

    answer: Literal["reply", "open", "refused"] | None = None
    error: str | None = None
    sender: str | None = None
    mtu: int | None = None
    ttl: int | None = None
    peer: str | None = None
    ms: float | None = None
    local: bool = False

    @property
    def ok(self) -> bool:
        """Whether it was answered."""
        return self.answer is not None

    def __str__(self) -> str:
        if self.answer is not None:
            words = {"reply": "answered", "open": "answered, open", "refused": "answered, refused"}
            return words[self.answer]
        if self.error is None:
            return "no answer"
        mtu = f", MTU {self.mtu}" if self.mtu else ""
        return f"{self.error}{mtu} from {self.sender or 'its own kernel'}"


Answers = Mapping[Request, Answer]


def send(site: Site, requests: Iterable[Request], seconds: float = ANSWER_S) -> Answers:
    """Send all of them, those of a node at once; wait `seconds` at most for what comes back.

    What those with a `size` bring to light of path MTUs is not kept by the nodes.
    """
    by_node: dict[str, list[Request]] = {}
    for request in requests:
        by_node.setdefault(request.node, []).append(request)
    sized = [node for node, own in by_node.items() if any(r.size for r in own)]

    def run(node: str) -> dict[Request, Answer]:
        own = by_node[node]
        rows = [asdict(r) | ({"mark": mark} if r.size else {}) for r in own]
        task = json.dumps({"seconds": seconds, "requests": rows}).encode()
        answers = json.loads(site.testbed[node].run(["testbed-requests"], input=task).text)
        return dict(zip(own, map(_answer, answers), strict=True))

    found: dict[Request, Answer] = {}
    with apart(site, sized) as mark, ThreadPoolExecutor(AT_ONCE) as pool:
        for answers in pool.map(run, by_node):
            found |= answers
    return found


def _answer(row: dict[str, object]) -> Answer:
    row.pop("at", None)
    return Answer(**row)  # type: ignore[arg-type]


def until(
    site: Site,
    requests: Sequence[Request],
    ok: Callable[[Request, Answer], bool],
    *,
    seconds: float = ANSWER_S,
    within: float = SETTLE_S,
) -> Answers:
    """Send, and again those that are not `ok`, until all are or the time is over."""
    found: dict[Request, Answer] = {}

    def look() -> list[Request]:
        left = [request for request in requests if request not in found or not ok(*pair(request))]
        found.update(send(site, left, seconds))
        return [request for request in left if not ok(*pair(request))]

    def pair(request: Request) -> tuple[Request, Answer]:
        return request, found[request]

    site.settled(look, lambda left: not left, within)
    return found


def answered(site: Site, requests: Sequence[Request], *, within: float = SETTLE_S) -> Answers:
    """Send until all are answered or the time is over."""
    return until(site, requests, lambda _, answer: answer.ok, seconds=2.0, within=within)
