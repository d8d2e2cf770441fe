"""Revisions: who was first, what has changed since, and what is no longer known."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.errors import ConflictError, UsageError, error_from_json
from testbed.keeper import ledger
from testbed.keeper.ledger import Ledger


def brought_up(data: dict[str, Any], files: dict[str, str] | None = None) -> dict[str, Any]:
    document = {"data": data, "files": files or {}, "text": ""}
    return {"document": document, "numbers": {"vpc": {"a": 1}}, "source": {"file": "x.yaml"}}


def edited(data: dict[str, Any], files: dict[str, str] | None = None) -> dict[str, Any]:
    return brought_up(data, files) | {"source": None}


def test_each_change_is_a_revision_and_none_is_none() -> None:
    book = Ledger()
    assert book.adopt(brought_up({"a": 1}), at=0.5, changed=True) == {
        "revision": 1,
        "at": 0.5,
        "changes": [{"path": ["a"], "new": 1}],
    }
    assert book.adopt(edited({"a": 1}), at=1.0, changed=False) is None
    row = book.adopt(edited({"a": 2}, {"f": "x"}), at=1.5, changed=False)
    assert row is not None
    assert row["revision"] == book.revision == 2
    assert row["changes"] == [{"path": ["a"], "old": 1, "new": 2}, {"file": "f", "new": "x"}]
    assert book.adopt(edited({"a": 2}, {"f": "x"}), at=2.0, changed=True) == {
        "revision": 3,
        "at": 2.0,
        "changes": [],
    }


def test_edits_are_counted_from_the_source() -> None:
    book = Ledger()
    book.adopt(brought_up({"a": 1, "b": 1}), at=0, changed=True)
    book.adopt(edited({"a": 2, "b": 1}), at=0, changed=True)
    book.adopt(edited({"a": 2}), at=0, changed=True)
    state = book.to_json()
    assert state["source"] == {"file": "x.yaml"}
    assert state["edits"] == [
        {"path": ["a"], "old": 1, "new": 2},
        {"path": ["b"], "old": 1},
    ]
    book.adopt(brought_up({"a": 2}), at=0, changed=True)
    assert book.to_json()["edits"] == []


def test_a_plan_without_a_document_forgets_it() -> None:
    book = Ledger()
    book.adopt(brought_up({"a": 1}), at=0, changed=True)
    book.adopt({}, at=0, changed=True)
    state = book.to_json()
    assert (state["document"], state["source"], state["numbers"]) == (None, None, {})


def test_who_was_not_first_loses_and_knows_it_over_the_socket() -> None:
    book = Ledger()
    book.adopt(brought_up({"a": 1}), at=0, changed=True)
    book.expect(1)
    book.expect(None)
    book.adopt(edited({"a": 2}), at=0, changed=True)
    with pytest.raises(ConflictError) as caught:
        book.expect(1)
    crossed = error_from_json(caught.value.to_json())
    assert isinstance(crossed, ConflictError)
    assert crossed.exit_code == 2


def test_only_so_many_revisions_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    book = Ledger()
    for number in range(ledger.KEPT + 3):
        book.adopt(edited({"a": number}), at=float(number), changed=True)
    rows, lost = book.since(0)
    assert (len(rows), lost) == (ledger.KEPT, 3)
    assert rows[0]["revision"] == 4
    assert book.since(book.revision) == ([], 0)
    assert book.time_of(5) == 4.0
    with pytest.raises(UsageError, match=f"no revision {book.revision + 1}"):
        book.since(book.revision + 1)
