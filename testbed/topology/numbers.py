"""The numbers of an installation's objects by their names: kind → name → number."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NONE: Mapping[str, Mapping[str, int]] = MappingProxyType({})


class Numbers:
    """The numbers that names have."""

    def __init__(self, previous: Mapping[str, Mapping[str, int]] = NONE) -> None:
        self._numbers = {kind: dict(names) for kind, names in previous.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Mapping[str, int]]) -> Numbers:
        """Go on with the numbers that `to_json` gave."""
        return cls(data)

    def to_json(self) -> dict[str, dict[str, int]]:
        """Give all numbers as plain data."""
        return {kind: dict(names) for kind, names in self._numbers.items()}
