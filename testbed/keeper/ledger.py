"""What a testbed is made from, and how that has changed: document, numbers and revisions.

The document is JSON about which the keeper knows nothing. Each change of it, or of the
plan that was made from it, is a revision with a number one higher.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from testbed.errors import ConflictError, UsageError
from testbed.plan.json_diff import Change, differences, patched

KEPT = 1000  # revisions
Row = dict[str, Any]


def changes(old: Row | None, new: Row | None) -> list[Change]:
    """Return what differs between two documents; texts of files by ``file`` instead of ``path``."""
    before, after = old or {}, new or {}
    found = differences(before.get("data") or {}, after.get("data") or {})
    texts = differences(before.get("files") or {}, after.get("files") or {})
    for change in texts:
        [name] = change.pop("path")
        found.append({"file": name, **change})
    return found


class Ledger:
    """The document that runs, and the revisions that led to it."""

    def __init__(self) -> None:
        self.revision = 0
        self._document: Row | None = None
        self._numbers: Row = {}
        self._source: Any = None
        self._original: Row | None = None  # as the source had it
        self._digest: str | None = None
        self._history: deque[Row] = deque(maxlen=KEPT)

    def expect(self, revision: int | None) -> None:
        """Raise ConflictError when a change was made from another revision; None: from any."""
        if revision is not None and revision != self.revision:
            text = f"the testbed was changed meanwhile: it is at revision {self.revision}, "
            raise ConflictError(f"{text}not at {revision} any more", hint="try again")

    def completed(self, request: Row) -> Row:
        """Return an `apply` with the document and the numbers that its patch leads to.

        Raises ConflictError where it is from another revision, or of another plan.
        """
        self.expect(request.get("revision"))
        if (patch := request.get("patch")) is None:
            return request
        if patch["base"] != self._digest:
            raise ConflictError("the change is of another plan than runs", hint="try again")
        document = patched(self._document, patch["document"])
        return request | {"document": document, "numbers": patched(self._numbers, patch["numbers"])}

    def adopt(self, request: Row, *, at: float, changed: bool) -> Row | None:
        """Take over what an `apply` brings, with whether the plan has changed; the new revision.

        One that names its source starts anew from there; an edit, which has a document and
        names none, goes on from it. None when everything is as it was.
        """
        document = request.get("document")
        if request.get("source") is not None or document is None:
            self._source, self._original = request.get("source"), document
        self._digest = request.get("digest")
        found = changes(self._document, document)
        self._document, self._numbers = document, request.get("numbers") or {}
        if not (found or changed):
            return None
        self.revision += 1
        row = {"revision": self.revision, "at": at, "changes": found}
        self._history.append(row)
        return row

    @property
    def source(self) -> Any:
        """What the document was first made from."""
        return self._source

    @property
    def digest(self) -> str | None:
        """That of the plan that runs, as the client computed it; None where it has not."""
        return self._digest

    def to_json(self) -> Row:
        """For the operation `document` (docs/protocol.md)."""
        return {
            "revision": self.revision,
            "document": self._document,
            "numbers": self._numbers,
            "digest": self._digest,
            "source": self._source,
            "edits": changes(self._original, self._document),
        }

    def since(self, revision: int) -> tuple[list[Row], int]:
        """Return the revisions after this one, and how many of them are no longer known."""
        if not 0 <= revision <= self.revision:
            hint = f"it is at revision {self.revision}"
            raise UsageError(f"there has been no revision {revision}", hint=hint)
        rows = [row for row in self._history if row["revision"] > revision]
        return rows, self.revision - revision - len(rows)

    def time_of(self, revision: int) -> float:
        """When a revision came, by the testbed's clock in s; 0 when that is not known."""
        return next((row["at"] for row in self._history if row["revision"] == revision), 0.0)
