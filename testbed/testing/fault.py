"""A fault for as long as a `with` block of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from testbed.control.client import Client
    from testbed.plan.model import Fault as FaultOfPlan

SHOWN = 10  # lines of what was wrong
TIMES = {"at": "at_s", "for_": "for_s", "for": "for_s", "every": "every_s"}
TIMES |= {name: name for name in ("at_s", "for_s", "every_s", "name")}


class Fault:
    """The fault of `Testbed.fault`: active inside its `with` block, healed at the end of it.

    `row` is its row in the status, `name` its name. A fault may be used for
    several blocks, one after the other.
    """

    def __init__(self, client: Client, kind: str, target: str, values: dict[str, Any]) -> None:
        self._client = client
        self._kind = kind
        self._target = target
        self._times = {TIMES[key]: value for key, value in values.items() if key in TIMES}
        self._values = {key: value for key, value in values.items() if key not in TIMES}
        self.row: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """Return the fault's name; empty before the block."""
        return str(self.row.get("name", ""))

    @property
    def fault(self) -> FaultOfPlan:
        """Return the fault as plans have it."""
        from testbed.plan.model import Fault as Of  # noqa: PLC0415

        return Of(self._kind, self._target, self.row["values"], name=self.name)

    def __enter__(self) -> Self:
        self.row = self._client.fault(self._kind, self._target, self._values, **self._times)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        status = self._client.status()
        if isinstance(error, Exception):
            error.add_note(self._circumstances(status))
        if any(row["name"] == self.name for row in status["faults"]):  # not healed meanwhile
            self._client.heal(self.name, wait=False)

    def _circumstances(self, status: Mapping[str, Any]) -> str:
        """What a failure inside the block has to do with, as it is before the fault is healed."""
        found = problems(status)
        shown = found[:SHOWN] + ([f"and {len(found) - SHOWN} more"] if found[SHOWN:] else [])
        head = f"while the fault {self.name} ({self._kind} {self._target}) was active,"
        if not shown:
            return f"{head} everything was as it should be"
        return "\n  ".join([f"{head} this was not as it should be:", *shown])


def problems(status: Mapping[str, Any]) -> list[str]:
    """Return what is not as it should be in a status, one line each."""
    return [
        f"{row.get('title')}: {row.get('state')}"
        for rows in status.values()
        if isinstance(rows, list)
        for row in rows
        if not row.get("ok")
    ]
