"""Faults in words and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed.faults.targets import WORDS
from testbed.render.tables import rows_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from testbed.faults.registry import Kind
    from testbed.faults.values import Parameter

UNITS = {"delay": "ms", "jitter": "ms", "loss": "%", "reorder": "%", "duplicate": "%"}
UNITS |= {"rate": "Mbit/s"}


def values_text(values: dict[str, Any]) -> str:
    """The values of a fault's parameters, as they are given on the command line."""
    return " ".join(
        f"--{name} {f'{value:g}' if isinstance(value, float) else value}{UNITS.get(name, '')}"
        for name, value in values.items()
    )


def schedule_text(row: dict[str, Any]) -> str:
    """When a fault is in force."""
    parts = [f"at {row['at_s']:g} s"] if row["at_s"] else []
    if row["for_s"] is not None:
        parts.append(f"for {row['for_s']:g} s")
    if row["every_s"] is not None:
        parts.append(f"every {row['every_s']:g} s")
    return ", ".join(parts)


def fault_text(row: dict[str, Any]) -> str:
    """A fault in one line."""
    parts = [f"{row['kind']} {row['target']}", values_text(row["values"]), schedule_text(row)]
    return f"fault {row['name']} is {row['state']}: {' '.join(part for part in parts if part)}"


def faults_table(rows: Iterable[dict[str, Any]]) -> Table:
    """The faults of a testbed."""
    columns = ("name", "kind", "target", "parameters", "when", "state", "since")
    return rows_table(
        "Faults",
        columns,
        [
            (
                row["name"],
                row["kind"],
                row["target"],
                values_text(row["values"]),
                schedule_text(row),
                row["state"] if not row.get("reason") else f"{row['state']}: {row['reason']}",
                "" if row["since"] is None else f"{row['since']:.1f} s",
            )
            for row in rows
        ],
    )


def parameter_text(parameter: Parameter) -> str:
    """A parameter in a few words."""
    text = f"--{parameter.name} {parameter.unit}"
    return text if parameter.required else f"[{text}]"


def catalogue_table(kinds: Iterable[Kind]) -> Table:
    """All kinds of faults."""
    rows = [
        (
            kind.name,
            "|".join(WORDS[each] for each in kind.targets),
            " ".join(map(parameter_text, kind.parameters)),
            kind.help,
        )
        for kind in kinds
    ]
    return rows_table("Kinds of faults", ("kind", "target", "parameters", "what happens"), rows)
