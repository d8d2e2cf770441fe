"""Users of services: constant requests from nodes, and what came of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from testbed.errors import UsageError
from testbed.probes.talk import Talk

if TYPE_CHECKING:
    from testbed.control.client import Client

EVERY_S, TIMEOUT_S = 1.0, 2.0
SCHEMES = ("http", "tcp", "udp")
NO_DATA = "no request was sent"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody at `node` who asks for `url`, or runs `command`, which has to succeed.

    `url` is ``http://HOST[:PORT][/PATH]``, ``tcp://HOST:PORT`` or ``udp://HOST:PORT``.
    """

    node: str
    url: str = ""
    command: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.node}: {self.url or ' '.join(self.command)}"

    def with_address(self, address: Callable[[str, str], str]) -> User:
        """Return the user with the address of the node that its URL names, as `address` gives it.

        `address` takes a host and the node that asks, and returns the host where no node has
        its name.
        """
        host = urlsplit(self.url).hostname
        if not host:
            return self
        url = self.url.replace(f"//{host}", f"//{address(host, self.node)}", 1)
        return replace(self, url=url)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a user saw in a phase.

    `reasons` has how many requests failed for which. `gap_s` is the longest time without an
    answer (None: until the phase's end), `first` and `last` are when the first and the last
    failed request was sent, in seconds since the phase began, `median_ms` is of the answers.
    """

    sent: int
    failed: int
    reasons: dict[str, int] = field(default_factory=dict)
    gap_s: float | None = 0.0
    first: float | None = None
    last: float | None = None
    median_ms: float | None = None

    @property
    def ok(self) -> bool:
        """Whether requests were sent, and all were answered."""
        return self.sent > 0 and not self.failed

    def __str__(self) -> str:
        if not self.sent:
            return NO_DATA
        if not self.failed:
            return f"all {self.sent} requests answered"
        most = max(self.reasons, key=lambda reason: self.reasons[reason])
        gap = "no answers any more" if self.gap_s is None else f"at most {self.gap_s:.1f} s without"
        return f"{self.failed} of {self.sent} requests failed ({most}), {gap}"


class Users:
    """Their requests, as long as the `with` block lasts.

    In virtual time they send while something waits for the testbed: `advance` above all.
    Raises UsageError for a URL of another kind.
    """

    def __init__(
        self,
        client: Client,
        users: Iterable[User],
        *,
        every_s: float = EVERY_S,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.users = tuple(users)
        self._client = client
        self._times = {"every": every_s, "timeout": timeout_s}
        self._talks: dict[str, Talk] = {}
        for user in self.users:
            _check(user)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for node in dict.fromkeys(user.node for user in self.users):
                rows = [_row(user) for user in self._of(node)]
                task = json.dumps(self._times | {"users": rows})
                talk = Talk(self._client, node, ["testbed-users", task])
                self._talks[node] = stack.enter_context(talk)
                talk.drive(clock=False)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _of(self, node: str) -> Sequence[User]:
        return [user for user in self.users if user.node == node]

    def mark(self) -> None:
        """Begin a new phase."""
        for talk in self._talks.values():
            talk.tell("mark")

    def report(self) -> dict[User, list[Usage]]:
        """Return what each user saw, phase by phase."""
        found: dict[User, list[Usage]] = {}
        for node, talk in self._talks.items():
            rows = talk.tell("report")["report"]
            for user, phases in zip(self._of(node), rows, strict=True):
                found[user] = [Usage(**phase) for phase in phases]
        return {user: found[user] for user in self.users}

    def usage(self) -> dict[User, Usage]:
        """Return what each user saw in the last phase."""
        return {user: phases[-1] for user, phases in self.report().items()}


def _row(user: User) -> dict[str, Any]:
    return {"command": list(user.command)} if user.command else {"url": user.url}


def _check(user: User) -> None:
    if user.command:
        return
    parts = urlsplit(user.url)
    try:
        is_whole = bool(parts.hostname) and (parts.scheme == "http" or parts.port is not None)
    except ValueError:
        is_whole = False
    if parts.scheme not in SCHEMES or not is_whole:
        hint = "such as http://10.0.1.4/, tcp://10.0.1.4:5432 or udp://10.0.1.4:7"
        raise UsageError(f"no user can ask for {user.url!r}", hint=hint)
