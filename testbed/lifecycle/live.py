"""The document of a testbed that runs: reading it, and changing it beside others who do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from testbed.control.client import Client
from testbed.errors import ConflictError, DocumentError, TestbedError, UsageError, Violation
from testbed.lifecycle.bringup import DEFAULT_TIMEOUT_S
from testbed.lifecycle.installation import Installation, lower_topology, of_document
from testbed.plan import codec
from testbed.plan.json_diff import Change, differences, lookup
from testbed.plan.model import Plan
from testbed.plan.patch import Digested, digested, patch
from testbed.topology.document import Document, resolve
from testbed.topology.model import Topology
from testbed.topology.numbers import Numbers

ATTEMPTS = 6
Edit = Callable[[Document], Document]


@dataclass(frozen=True)
class Standing:
    """What a testbed is made from at a revision. `numbers` are those of its objects."""

    document: Document
    numbers: Mapping[str, Mapping[str, int]]
    revision: int

    def topology(self) -> Topology:
        """Return what the document is an installation of."""
        return resolve(self.document, Numbers(self.numbers))


@dataclass(frozen=True)
class Live(Standing):
    """What a testbed is made from, and where that comes from.

    `source` is the file that it was brought up from, and `edits` what has been changed since
    (docs/protocol.md).
    """

    source: Mapping[str, Any]
    edits: list[Change]


@dataclass(frozen=True)
class _Known:
    """What a client knows of a testbed: its `plan`, too, where that follows from the document.

    It is kept for the client's next edit, and `read` from the testbed where there is none yet.
    """

    standing: Standing
    plan: Digested | None
    read: bool = True


@dataclass(frozen=True)
class Edited:
    """A change that has come through: what runs now, and what the keeper said of it."""

    installation: Installation
    before: Standing
    result: dict[str, Any]


def live(client: Client) -> Live:
    """Read what a testbed is made from; UsageError where it was brought up from a plan only."""
    return _live(client, client.document())


def running_plan(client: Client) -> tuple[Plan, Topology]:
    """Return the plan of what runs, and its topology; errors as of `live`."""
    answer = client.document(plan=True)
    return codec.from_json(answer["plan"]), _live(client, answer).topology()


def running_topology(client: Client) -> Topology:
    """Return the topology of what runs; errors as of `live`."""
    return live(client).topology()


def prepare(client: Client, now: Standing, change: Edit) -> Installation:
    """Make a change without applying it; DocumentError where the rules refuse the outcome."""
    document = change(now.document)
    if not document.text:
        document = replace(document, text=now.document.text)
    made = of_document(document, now.numbers, parsed=now.document.files.values())
    if made.topology.name != client.name:
        message = f"a running testbed cannot be renamed; its name is {client.name}"
        remedy = "take it down, and bring it up under another name"
        raise DocumentError([Violation(("name",), "live", message, remedy)])
    return made


def taken_away(edits: list[Change], document: Document) -> list[Change]:
    """Return those of the edits of what runs that this document does not have."""
    nothing = object()
    lost = []
    for edit in edits:
        if "file" in edit:
            value = document.files.get(edit["file"], nothing)
        else:
            value = lookup(document.data, edit["path"], nothing)
        if value != edit.get("new", nothing):
            lost.append(edit)
    return lost


def edit(
    client: Client,
    change: Edit,
    *,
    wait: bool = True,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    on_made: Callable[[Standing, Installation], None] = lambda *_: None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> Edited:
    """Change what runs: `change` is given its document, and returns the one that is to be.

    `on_made` hears of what is about to be applied. Errors are as of `edit_live`, and
    DocumentError where the rules refuse the outcome; nothing has changed then.
    """

    def make(now: Standing) -> Installation:
        new = prepare(client, now, change)
        on_made(now, new)
        return new

    return edit_live(client, make, wait=wait, timeout_s=timeout_s, on_event=on_event)


def edit_live(
    client: Client,
    make: Callable[[Standing], Installation],
    *,
    wait: bool = True,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    current: bool = False,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> Edited:
    """Change what runs: `make` is given what that is, and returns the installation that is to be.

    Where somebody else was faster it is called again with what runs then, and others wait.
    The first time it may be given what the client knows from its last change, unless what
    is `current` matters: where a refusal by `make` is told to others at once.
    Raises ConflictError where it took too long each time; nothing has changed then.
    """
    editing = _Editing(client, make, {"wait": wait, "timeout_s": timeout_s}, current=current)
    for attempt in range(ATTEMPTS):
        try:
            if attempt:
                result = client.apply_in_turn(editing.in_turn, on_event=on_event)
            else:
                known, application = editing.at_once()
                revision = known.standing.revision
                result = client.change(application, revision=revision, on_event=on_event)
        except ConflictError:
            client.known = None
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return editing.done(result)
    raise AssertionError


class _Editing:
    """One change of what runs, which is made again where somebody else was faster."""

    def __init__(
        self,
        client: Client,
        make: Callable[[Standing], Installation],
        how: dict[str, Any],
        *,
        current: bool,
    ) -> None:
        self._client = client
        self._current = current
        self._made_of = make
        self._how = how | {"ready": "touched"}
        self._made: tuple[_Known, Installation, Digested] | None = None

    def at_once(self) -> tuple[_Known, dict[str, Any]]:
        """Make the change of what the client knows, or else reads; and what is to be sent."""
        client = self._client
        known = client.known if isinstance(client.known, _Known) else _read(client)
        if self._current and not known.read and self._is_old(known):
            known = _read(client)
        try:
            return known, self._make(known)
        except TestbedError:
            if known.read or not self._is_old(known):
                raise
        known = _read(client)  # of what runs by now it may be no error
        return known, self._make(known)

    def _is_old(self, known: _Known) -> bool:
        return bool(self._client.hello()["revision"] != known.standing.revision)

    def in_turn(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Make the change of what runs, by the keeper's answer; what is to be sent."""
        return self._make(_known(self._client, answer))

    def _make(self, known: _Known) -> dict[str, Any]:
        new = self._made_of(known.standing)
        plan = digested(new.plan, known.plan)
        self._made = known, new, plan
        return _application(known, new, plan) | self._how | {"digest": plan.digest}

    def done(self, result: dict[str, Any]) -> Edited:
        """Keep what runs now for the client's next change."""
        assert self._made is not None
        known, new, plan = self._made
        numbers = new.topology.numbers.to_json()
        standing = Standing(new.document, numbers, result["revision"])
        self._client.known = _Known(standing, plan, read=False)
        return Edited(new, known.standing, result)


def _application(known: _Known, new: Installation, plan: Digested) -> dict[str, Any]:
    """Return what is sent of a change: what differs, or everything where the plan is not known."""
    made_from = new.made_from()
    if known.plan is None:
        return {"plan": codec.to_json(new.plan), **made_from}
    now = known.standing
    differing = patch(known.plan, plan)
    differing["document"] = differences(now.document.to_json(), made_from["document"])
    differing["numbers"] = differences(now.numbers, made_from["numbers"])
    return {"patch": differing}


def _read(client: Client) -> _Known:
    return _known(client, client.document())


def _known(client: Client, answer: dict[str, Any]) -> _Known:
    """Return what an answer says, and the plan if it is the one that the document leads to."""
    now = _live(client, answer)
    if (digest := answer.get("digest")) is None:
        return _Known(now, None)
    plan = digested(lower_topology(now.topology()))
    return _Known(now, plan if plan.digest == digest else None)


def _live(client: Client, answer: dict[str, Any]) -> Live:
    if answer["document"] is None:
        hint = f"update it to a topology: testbed up TOPOLOGY -n {client.name}"
        raise UsageError(f"testbed {client.name} was not brought up from a topology", hint=hint)
    return Live(
        Document.from_json(answer["document"]),
        answer["numbers"],
        answer["revision"],
        answer["source"] or {},
        answer["edits"],
    )
