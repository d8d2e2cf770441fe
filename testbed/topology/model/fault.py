"""Declared faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from testbed.errors import Path

Value = str | int | float


@dataclass(frozen=True, slots=True)
class FaultDeclaration:
    """A fault as the file declares it: its parameters and times are not looked at yet.

    `path` is where it is in the document, for whoever does look.
    """

    kind: str
    target: str
    name: str
    values: Mapping[str, Value]
    times: Mapping[str, Value]
    path: Path = field(default=("faults",), compare=False)
