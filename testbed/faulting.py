"""A fault for as long as a `with` block of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

    from testbed.client import Client
    from testbed.plan.model import Fault as FaultOfPlan

TIMES = {"at": "at_s", "for_": "for_s", "for": "for_s", "every": "every_s"}
TIMES |= {name: name for name in ("at_s", "for_s", "every_s", "name")}


class Fault:
    """What `Testbed.fault` gives: in force once the block is entered, healed once it is left.

    `row` is its row of the status, `name` its name. One fault may be entered
    again after it was left.
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
        """The fault's name; empty before the block."""
        return str(self.row.get("name", ""))

    @property
    def fault(self) -> FaultOfPlan:
        """The fault as plans have it."""
        from testbed.plan.model import Fault as Of  # noqa: PLC0415

        return Of(self._kind, self._target, self.row["values"], name=self.name)

    def __enter__(self) -> Self:
        self.row = self._client.fault(self._kind, self._target, self._values, **self._times)
        return self

    def __exit__(self, *_: object) -> None:
        if any(
            row["name"] == self.name for row in self._client.status()["faults"]
        ):  # not healed meanwhile
            self._client.heal(self.name, wait=False)
