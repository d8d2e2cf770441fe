"""Carries out the calls that change something: those that arrive together as one change."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from testbed.api.disconnected import refuse_unreachable
from testbed.api.errors import ApiError
from testbed.api.operations import Ask, Operation, Params, Result, Work, edit
from testbed.api.records import deleted, record, records
from testbed.api.world import World
from testbed.control.client import Client
from testbed.errors import ConflictError, DocumentError, TestbedError, aws_code
from testbed.lifecycle.installation import Installation
from testbed.lifecycle.live import Standing, edit_live, prepare
from testbed.topology.document import Document
from testbed.topology.editing.change import EditError
from testbed.topology.editing.tree import Data

TOGETHER = 100  # calls that are one change, at most
READY_S = 120.0  # how long packets have to follow before an object counts as available anyway


class _NothingLeftError(Exception):
    """Every call of a batch was refused."""


@dataclass
class Job:
    """A call that changes something, until it is answered."""

    operation: Operation
    parameters: Params
    token: str | None = None
    dry: bool = False
    answer: Future[Result] = field(default_factory=Future)
    settled: threading.Event = field(default_factory=threading.Event)
    work: Work | None = None
    ask: Ask | None = None

    def refuse(self, error: ApiError) -> None:
        """Answer with an error."""
        self.settled.set()
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass
class _Batch:
    """Calls that are carried out as one change."""

    jobs: list[Job]
    accepted: threading.Event = field(default_factory=threading.Event)
    made: Installation | None = None
    before: Standing | None = None
    unsettled: list[str] = field(default_factory=list)
    pending: frozenset[str] = frozenset()  # what was not ready before

    def open(self) -> list[Job]:
        """The calls that have not been answered."""
        return [job for job in self.jobs if not job.answer.done()]


class Writer:
    """The thread that brings about what calls ask for, one change after the other.

    `world_of` makes a world of what runs, `on_world` hears of each new one,
    `on_settled` of how a change came through (its revision, steps, ms).
    """

    def __init__(
        self,
        client: Client,
        world_of: Callable[[Standing], World],
        on_world: Callable[[World], None],
        on_settled: Callable[[dict[str, Any]], None],
    ) -> None:
        self._client = client
        self._world_of = world_of
        self._on_world = on_world
        self._on_settled = on_settled
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._unsettled: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.pending: frozenset[str] = frozenset()  # titles of what is not ready, as last heard
        self.unready: frozenset[str] = frozenset()  # the same, of the whole testbed
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, after what it has begun."""
        self._queue.put(None)
        self._thread.join(READY_S)

    def submit(self, job: Job) -> None:
        """Have a call carried out; its `answer` says how that went."""
        self._queue.put(job)

    def unsettled(self) -> frozenset[str]:
        """Return the identifiers of objects that packets don't follow yet."""
        with self._lock:
            return frozenset(self._unsettled)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            jobs = [job]
            while len(jobs) < TOGETHER and not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    self._queue.put(None)
                    break
                jobs.append(more)
            batch = _Batch(jobs, pending=self.pending)
            threading.Thread(target=self._carry_out, args=(batch,), daemon=True).start()
            batch.accepted.wait()

    def _carry_out(self, batch: _Batch) -> None:
        """Bring a batch about, and wait until packets follow."""
        started = time.perf_counter()

        def heard(event: dict[str, Any]) -> None:
            if event.get("event") == "phase" and event.get("state") == "done":
                self._accept(batch)
            elif event.get("event") == "waiting":
                self.pending = frozenset(event["pending"])
                if not self.pending - batch.pending:
                    self._settle(batch)

        try:
            edited = edit_live(
                self._client,
                lambda now: self._make(batch, now),
                timeout_s=READY_S,
                current=True,
                on_event=heard,
            )
            self._accept(batch)
            ms = round((time.perf_counter() - started) * 1000)
            revision, steps = edited.result["revision"], edited.result["steps"]
            self._on_settled({"revision": revision, "steps": steps, "settled_ms": ms})
        except _NothingLeftError:
            pass
        except TestbedError as error:
            code = "ServiceUnavailable" if isinstance(error, ConflictError) else "InternalError"
            self._fail(batch, ApiError(code, str(error), 503))
        except Exception as error:  # noqa: BLE001 - whoever has called is told, whatever it is
            self._fail(batch, ApiError("InternalError", f"{type(error).__name__}: {error}", 500))
        finally:
            self._settle(batch)
            batch.accepted.set()

    def _make(self, batch: _Batch, now: Standing) -> Installation:
        """Return the installation that a batch leads to; calls that are refused are answered."""
        world = self._world_of(now)
        batch.before = now
        try:
            batch.made = self._made(batch.open(), now, world, each=False)
        except DocumentError:
            batch.made = self._made(batch.open(), now, world, each=True)
        if not batch.open():
            raise _NothingLeftError
        return batch.made

    def _made(self, jobs: list[Job], now: Standing, world: World, *, each: bool) -> Installation:
        """Return the installation of these calls in turn; with `each`, all are checked alone."""
        taken: set[str] = set()
        document = now.document
        made = None
        for job in jobs:
            job.ask = Ask(job.operation.name, job.parameters, world, taken)
            try:
                changed = _changed(job, document, self.unready)
                if each or job.dry:
                    made = prepare(self._client, now, lambda _, new=changed: new)  # type: ignore[misc]
            except (ApiError, EditError, DocumentError) as error:
                job.refuse(_told(error, job.ask))
                continue
            if job.dry:
                message = "Request would have succeeded, but DryRun flag is set."
                job.refuse(ApiError("DryRunOperation", message, 412))
                continue
            document = changed
        if all(job.answer.done() for job in jobs):
            raise _NothingLeftError
        if not each or made is None or made.document.data != document.data:
            made = prepare(self._client, now, lambda _: document)
        return made

    def _accept(self, batch: _Batch) -> None:
        """Answer the calls of a batch that the testbed has taken over."""
        if batch.accepted.is_set() or batch.made is None or batch.before is None:
            return
        made, before = batch.made, batch.before
        changed = made.document.data != before.document.data
        revision = before.revision + changed
        numbers = made.topology.numbers.to_json()
        live = replace(before, document=made.document, numbers=numbers, revision=revision)
        works = [job.work for job in batch.open() if job.work]
        batch.unsettled = [c.id for w in works for c in w.creates]
        batch.unsettled += [id_ for work in works for id_ in work.touches]
        with self._lock:
            self._unsettled.update(batch.unsettled)
        world = World(live, made.topology)
        self._on_world(world)
        world = replace(world, unsettled=self.unsettled())
        for job in batch.open():
            assert job.work
            try:
                job.answer.set_result(job.work.answer(world))
            except ApiError as error:
                job.refuse(error)
            if job.work.then is not None:
                self.submit(_following(job, job.work.then))
            for node, script in job.work.starts:
                threading.Thread(target=self._start, args=(node, script), daemon=True).start()
        batch.accepted.set()

    def _start(self, node: str, script: str) -> None:
        """Run a script in a node, by the interpreter that its first line names."""
        interpreter = script[2:].partition("\n")[0].split() or ["/bin/sh"]
        with contextlib.suppress(TestbedError):
            self._client.run(node, [*interpreter, "-c", script])

    def _settle(self, batch: _Batch) -> None:
        """Note that packets follow what a batch has changed, or won't."""
        with self._lock:
            self._unsettled.subtract(batch.unsettled)
            self._unsettled += Counter()
            batch.unsettled = []
        for job in batch.jobs:
            job.settled.set()

    def _fail(self, batch: _Batch, error: ApiError) -> None:
        for job in batch.open():
            job.refuse(error)


def _following(job: Job, then: Callable[[Document], Document]) -> Job:
    """Return the job of the second change that a call leads to; nobody waits for its answer."""
    work = Work(change=then, answer=lambda _: {})
    return Job(replace(job.operation, change=lambda _: work), {})


def _changed(job: Job, document: Document, unready: frozenset[str] = frozenset()) -> Document:
    """Return the document that a call leads to, or the same where it was made before.

    Raises ApiError where it is about an Outpost whose management channel is `unready`.
    """
    ask = job.ask
    assert ask
    assert job.operation.change
    mark = f"{job.operation.name}/{job.token}" if job.token else None
    if mark:
        ask.again = [id_ for id_, row in records(document.data).items() if row.get("token") == mark]
    repeated = bool(ask.again)
    job.work = work = job.operation.change(ask)
    if work.change is not None and not repeated:
        refuse_unreachable(ask.world, ask.parameters, unready)
    if repeated:
        job.work = replace(work, creates=())
        return document
    if work.change is not None:
        document = work.change(document)
    return edit(lambda data: _recorded(data, work, ask, mark))(document)


def _recorded(data: Data, work: Work, ask: Ask, mark: str | None) -> Data:
    """Return the data with what records say of what a call creates, changes and deletes."""
    for made in work.creates:
        values, tags = dict(made.values), dict(made.tags)
        entry = {"created": ask.at, "tags": tags, "token": mark, "kind": made.kind}
        data = record(made.id, values=values, **entry)(data)
    for step in work.steps:
        data = step(data)
    for id_, last in work.deletes.items():
        data = deleted(id_, ask.at, **last)(data)
    return data


def _told(error: ApiError | EditError | DocumentError, ask: Ask) -> ApiError:
    """Return an error in AWS's words: objects go by their identifiers."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, EditError):
        code, message = error.aws_code or "InvalidParameterValue", error.message
        return ApiError(code, _with_ids(message, ask.named.items()))
    violation = error.violations[0]
    code = violation.aws_code or aws_code(violation.message) or "InvalidParameterValue"
    message = violation.message.removeprefix(f"{code}: ")
    return ApiError(code, _with_ids(message, ask.named.items()))


def _with_ids(message: str, named: Iterable[tuple[str, str]]) -> str:
    """Return a message with the identifiers in the place of names, where these stand alone."""
    for name, id_ in sorted(named, key=lambda pair: -len(pair[0])):
        word = rf"(?<![\w.-]){re.escape(name)}(?![\w-])"
        message = re.sub(word, lambda _, id_=id_: id_, message)  # type: ignore[misc]
    return message
