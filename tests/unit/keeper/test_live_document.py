"""Many clients that change one testbed: the real keeper over its socket, with nothing to build."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testbed.control.client import Client
from testbed.control.protocol import control_socket
from testbed.errors import ConflictError, DocumentError, NetworkError, UsageError
from testbed.keeper.readiness import Look
from testbed.keeper.server import Keeper
from testbed.lifecycle import live
from testbed.lifecycle.installation import of_document
from testbed.plan.json_diff import patched
from testbed.plan.model import Node, Plan
from testbed.plan.roles import Role
from testbed.topology.document import Document

CLIENTS, EDITS = 8, 500
DATA: dict[str, Any] = {
    "testbed": 1,
    "name": "live",
    "region": {"name": "us-west-2"},
    "vpcs": {"app": {"cidr": "10.0.0.0/16", "subnets": {"a": {"cidr": "10.0.0.0/20"}}}},
}


class NothingToBuild:
    """A kernel in which every change succeeds at once."""

    def check(self, steps: list[Any]) -> None: ...

    def apply(self, steps: list[Any]) -> dict[str, float]:
        return {}

    def nodes(self) -> list[str]:
        return []

    def close(self) -> None: ...


class Served:
    """A keeper that serves its socket in a thread of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))
        self._thread.start()
        assert self._ready.wait(30)

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self.keeper = Keeper(self.name)
        self.keeper._kernel = NothingToBuild()  # type: ignore[assignment]
        path = control_socket(self.name)
        path.parent.mkdir(parents=True)
        listener = await asyncio.start_unix_server(self.keeper.serve_connection, str(path))
        self._ready.set()
        await self._over.wait()
        listener.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("TESTBED_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr("testbed.lower.lower", lambda topology: plan_of(*topology.instances))
    keeper = Served("live")
    made = of_document(Document(DATA))
    Client("live").apply(made.plan, made_from=made.made_from() | {"source": {"file": "x"}})
    yield keeper
    keeper.close()


def plan_of(*names: str) -> Plan:
    return Plan("live", tuple(Node(name, Role.INSTANCE, "region", name) for name in names))


def adding(name: str) -> Callable[[Document], Document]:
    def change(document: Document) -> Document:
        instances = document.data.get("instances", {}) | {name: {"subnet": "a"}}
        return replace(document, data={**document.data, "instances": instances})

    return change


def data_of(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.document()["document"]["data"]
    return found


def test_two_that_change_different_things_at_once_both_get_through(served: Served) -> None:
    """The second reads before the first has changed anything, and applies after it."""
    calls = []

    def second(document: Document) -> Document:
        calls.append(document)
        if len(calls) == 1:
            live.edit(Client("live"), adding("first"))
        return adding("second")(document)

    done = live.edit(Client("live"), second)
    assert list(data_of(Client("live"))["instances"]) == ["first", "second"]
    assert done.result["revision"] == 3
    assert len(calls) == 2
    assert [node.name for node in Client("live").plan()[0].nodes] == ["first", "second"]


def test_who_has_lost_once_has_its_turn_then(served: Served) -> None:
    """While it is asked again, the others wait; they get through after it."""
    calls: list[Document] = []
    with ThreadPoolExecutor(4) as pool:

        def overtaken(document: Document) -> Document:
            calls.append(document)
            others = [pool.submit(live.edit, Client("live"), adding(f"o{len(calls)}"))]
            if len(calls) == 1:
                others[0].result(30)
            return adding("mine")(document)

        done = live.edit(Client("live"), overtaken)
    assert len(calls) == 2
    assert done.result["revision"] == 3
    assert list(data_of(Client("live"))["instances"]) == ["o1", "mine", "o2"]


def test_who_fails_in_its_turn_keeps_nobody(served: Served) -> None:
    calls: list[Document] = []

    def failing(document: Document) -> Document:
        calls.append(document)
        if len(calls) == 1:
            live.edit(Client("live"), adding("other"))
            return adding("mine")(document)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        live.edit(Client("live"), failing)
    live.edit(Client("live"), adding("later"))
    assert list(data_of(Client("live"))["instances"]) == ["other", "later"]


def test_who_takes_too_long_in_its_turn_loses_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testbed.keeper.changing.TURN_S", 0.01)
    other = threading.Event()

    def slow(_: dict[str, Any]) -> dict[str, Any]:
        live.edit(Client("live"), adding("other"))  # which can only be once the turn is over
        other.set()
        return {}

    with pytest.raises(ConflictError, match="took more than"):
        Client("live").apply_in_turn(slow)
    assert other.is_set()
    assert list(data_of(Client("live"))["instances"]) == ["other"]


def toggling(name: str) -> Callable[[Document], Document]:
    """Add an instance, or take it away, and count that in the seed: the order does not matter."""

    def change(document: Document) -> Document:
        instances = dict(document.data.get("instances", {}))
        if instances.pop(name, None) is None:
            instances[name] = {"subnet": "a"}
        seed = document.data.get("seed", 1) + 1
        return replace(document, data={**document.data, "seed": seed, "instances": instances})

    return change


def test_many_edits_of_many_clients_end_in_what_any_order_gives(served: Served) -> None:
    names = [f"i{number % 7}" for number in range(EDITS)]
    expected = Document(DATA)
    for name in names:
        expected = toggling(name)(expected)
    watcher = Client("live").watch(0)

    def work(number: int) -> None:
        client = Client("live")
        for name in names[number::CLIENTS]:
            live.edit(client, toggling(name))

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert not any(pool.map(work, range(CLIENTS)))
    found = live.live(Client("live"))
    assert found.document == expected
    assert found.revision == EDITS + 1
    data: Any = {}
    for message in watcher:
        if message["event"] == "revision":
            data = patched(data, message["changes"])
        if message.get("revision") == EDITS + 1:
            break
    assert data == expected.data


def test_what_the_rules_refuse_changes_nothing(served: Served) -> None:
    before = Client("live").document()
    with pytest.raises(DocumentError) as caught:
        live.edit(Client("live"), lambda d: replace(d, data={**d.data, "instances": {"x": {}}}))
    assert [violation.path for violation in caught.value.violations] == [("instances", "x")]
    with pytest.raises(DocumentError, match="cannot be renamed; its name is live"):
        live.edit(Client("live"), lambda d: replace(d, data={**d.data, "name": "other"}))
    assert Client("live").document() == before


def test_edits_are_told_apart_from_the_file(served: Served) -> None:
    live.edit(Client("live"), adding("x"))
    now = live.live(Client("live"))
    assert now.source == {"file": "x"}
    assert now.edits == [{"path": ["instances"], "new": {"x": {"subnet": "a"}}}]
    assert live.taken_away(now.edits, Document(DATA)) == now.edits
    assert live.taken_away(now.edits, now.document) == []


def waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let nothing become ready before the event is set."""
    go = threading.Event()

    async def watch(plan: Callable[[], Plan], *_: Any, **__: Any) -> Any:
        while not go.is_set():
            yield Look([("it", "not yet")], 1)
            await asyncio.sleep(0.001)
        yield Look([(node.name, "of the plan") for node in plan().nodes], 2)

    monkeypatch.setattr("testbed.keeper.readiness.watch", watch)
    return go


def test_who_waits_keeps_nobody_from_changing_more(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, began = waiting(monkeypatch), threading.Event()

    def first() -> live.Edited:
        client = Client("live")
        return live.edit(client, adding("first"), on_event=lambda e: _note(e, began))

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(first)
        assert began.wait(30)
        live.edit(Client("live"), adding("second"), wait=False)
        assert not done.done()
        go.set()
        pending = done.result(30).result["pending"]
    assert [row["title"] for row in pending] == ["first", "second"]


def _note(event: dict[str, Any], began: threading.Event) -> None:
    if event["event"] == "waiting":
        began.set()


def test_who_waits_is_told_that_the_testbed_has_ended(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(monkeypatch)
    began = threading.Event()

    def first() -> None:
        live.edit(Client("live"), adding("first"), on_event=lambda e: _note(e, began))

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(first)
        assert began.wait(30)
        Client("live").stop()
        with pytest.raises(NetworkError, match="was taken down"):
            done.result(30)


def test_watching_from_a_revision_that_has_not_been(served: Served) -> None:
    with pytest.raises(UsageError, match="no revision 9"):
        next(Client("live").watch(9))
