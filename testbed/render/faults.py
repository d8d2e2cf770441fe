"""Faults in words and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed.faults.catalog import KINDS
from testbed.faults.targets import WORDS
from testbed.render.style import rows_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from testbed.faults.registry import FaultKind
    from testbed.faults.values import Parameter


def values_text(row: dict[str, Any]) -> str:
    """The values of a fault's parameters, as they are given on the command line."""
    parameters = {parameter.name: parameter for parameter in KINDS[row["kind"]].parameters}
    given = row["values"].items()
    return " ".join(f"--{name} {parameters[name].text(value)}" for name, value in given)


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
    parts = [f"{row['kind']} {row['target']}", values_text(row), schedule_text(row)]
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
                values_text(row),
                schedule_text(row),
                row["state"] if not row.get("reason") else f"{row['state']}: {row['reason']}",
                "" if row["since"] is None else f"{row['since']:.1f} s",
            )
            for row in rows
        ],
    )


def parameter_text(parameter: Parameter) -> str:
    """A parameter in a few words."""
    text = f"--{parameter.name} {parameter.metavar}"
    return text if parameter.required else f"[{text}]"


def catalogue_table(kinds: Iterable[FaultKind]) -> Table:
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
