"""The document of a testbed that runs: reading it, and changing it beside others who do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from testbed.control.client import Client, application
from testbed.errors import ConflictError, DocumentError, UsageError, Violation
from testbed.lifecycle.bringup import DEFAULT_TIMEOUT_S
from testbed.lifecycle.installation import Installation, of_document
from testbed.plan import codec
from testbed.plan.json_diff import Change, lookup
from testbed.plan.model import Plan
from testbed.topology.document import Document, resolve
from testbed.topology.model import Topology
from testbed.topology.numbers import Numbers

ATTEMPTS = 6
Edit = Callable[[Document], Document]


@dataclass(frozen=True)
class Live:
    """What a testbed is made from.

    `numbers` are those of its objects, `source` the file that it was brought up from, and
    `edits` what has been changed since (docs/protocol.md).
    """

    document: Document
    numbers: Mapping[str, Mapping[str, int]]
    revision: int
    source: Mapping[str, Any]
    edits: list[Change]

    def topology(self) -> Topology:
        """Return what the document is an installation of."""
        return resolve(self.document, Numbers(self.numbers))


@dataclass(frozen=True)
class Edited:
    """A change that has come through: what runs now, and what the keeper said of it."""

    installation: Installation
    before: Live
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


def prepare(client: Client, now: Live, change: Edit) -> Installation:
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
    on_made: Callable[[Live, Installation], None] = lambda *_: None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> Edited:
    """Change what runs: `change` is given its document, and returns the one that is to be.

    `on_made` hears of what is about to be applied. Errors are as of `edit_live`, and
    DocumentError where the rules refuse the outcome; nothing has changed then.
    """

    def make(now: Live) -> Installation:
        new = prepare(client, now, change)
        on_made(now, new)
        return new

    return edit_live(client, make, wait=wait, timeout_s=timeout_s, on_event=on_event)


def edit_live(
    client: Client,
    make: Callable[[Live], Installation],
    *,
    wait: bool = True,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> Edited:
    """Change what runs: `make` is given what that is, and returns the installation that is to be.

    Where somebody else was faster it is called again with what runs then, and others wait.
    Raises ConflictError where it took too long each time; nothing has changed then.
    """
    made: list[tuple[Live, Installation]] = []

    def made_of(answer: dict[str, Any]) -> Installation:
        now = _live(client, answer)
        made.append((now, make(now)))
        return made[-1][1]

    def in_turn(answer: dict[str, Any]) -> dict[str, Any]:
        new = made_of(answer)
        return application(new.plan, new.made_from(), wait=wait, timeout_s=timeout_s)

    def at_once() -> dict[str, Any]:
        answer = client.document()
        new = made_of(answer)
        how: dict[str, Any] = {"wait": wait, "timeout_s": timeout_s, "on_event": on_event}
        revision = answer["revision"]
        return client.apply(new.plan, made_from=new.made_from(), revision=revision, **how)

    for attempt in range(ATTEMPTS):
        try:
            result = client.apply_in_turn(in_turn, on_event=on_event) if attempt else at_once()
        except ConflictError:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            now, new = made[-1]
            return Edited(new, now, result)
    raise AssertionError


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
