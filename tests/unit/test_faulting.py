"""A failure inside the block of a fault says so, and how things were before it was healed."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.testing.fault import SHOWN, Fault


class StandIn:
    """A client of a testbed in which a fault breaks so many links."""

    def __init__(self, broken: int) -> None:
        self.broken = broken
        self.healed: list[str] = []

    def fault(self, kind: str, target: str, *_: Any, **__: Any) -> dict[str, Any]:
        return {"name": f"{kind}-1", "kind": kind, "target": target, "values": {}}

    def status(self) -> dict[str, Any]:
        links = [{"title": f"link {n}", "state": "down", "ok": False} for n in range(self.broken)]
        return {"name": "demo", "faults": [{"name": "link-down-1", "ok": True}], "links": links}

    def heal(self, *names: str, **_: Any) -> None:
        self.healed += names
        self.broken = 0


@pytest.mark.parametrize("broken", [0, 2, SHOWN + 3])
def test_a_failure_knows_the_fault(broken: int) -> None:
    client: Any = StandIn(broken)
    with (
        pytest.raises(AssertionError, match="no answer") as caught,
        Fault(client, "link-down", "cnd1:op_1", {}),
    ):
        raise AssertionError("no answer")
    (note,) = caught.value.__notes__
    assert "link-down-1 (link-down cnd1:op_1) was active" in note
    assert note.count("down\n") + note.endswith("down") == min(broken, SHOWN)
    assert ("everything was as it should be" in note) == (broken == 0)
    assert ("and 3 more" in note) == (broken > SHOWN)
    assert client.healed == ["link-down-1"]


def test_what_goes_well_says_nothing() -> None:
    client: Any = StandIn(1)
    with Fault(client, "link-down", "cnd1:op_1", {}):
        pass
    assert client.healed == ["link-down-1"]
