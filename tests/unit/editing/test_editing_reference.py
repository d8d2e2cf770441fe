"""The reference has every operation, as it is: `GOLDEN=write` writes its tables anew."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import testbed.topology.editing as edit
from testbed.topology.document import resolve
from testbed.topology.editing import OPERATIONS, Change
from testbed.topology.file.load import load_document

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "editing.md"
MARK = "<!-- operations -->\n"
COLUMNS = "| operation | arguments | what it does |\n|---|---|---|\n"


def families() -> dict[str, list[str]]:
    """The operations of each module, by the first line of what it says of itself."""
    found = {}
    for info in pkgutil.iter_modules(edit.__path__):
        module = importlib.import_module(f"{edit.__name__}.{info.name}")
        names = [name for name in vars(module) if OPERATIONS.get(name) is vars(module)[name]]
        if names:
            found[str(module.__doc__).partition("\n")[0].removesuffix(".")] = names
    return found


def row(name: str, operation: Callable[..., Change]) -> str:
    """The line that the reference has of an operation."""
    arguments = [
        f"`{parameter.name}`"
        if parameter.default is inspect.Parameter.empty
        else f"*{parameter.name}*"
        for parameter in inspect.signature(operation).parameters.values()
    ]
    text = " ".join(str(operation.__doc__).partition("\n\n")[0].split())
    return f"| `{name}` | {', '.join(arguments)} | {text} |\n"


def tables() -> str:
    """The tables, one for each family of operations."""
    parts = [
        f"### {family}\n\n{COLUMNS}{''.join(row(name, OPERATIONS[name]) for name in names)}"
        for family, names in families().items()
    ]
    return "\n".join(parts)


def test_every_operation_is_in_the_reference() -> None:
    head, mark, _ = PAGE.read_text().partition(MARK)
    if os.environ.get("GOLDEN") == "write":
        PAGE.write_text(f"{head}{mark}\n{tables()}")
    assert PAGE.read_text() == f"{head}{mark}\n{tables()}", "run: GOLDEN=write pytest, and read"


def test_the_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    before = load_document(ROOT / "topologies" / "two-racks-blocked.yaml")
    names: dict[str, Any] = {"document": before, "print": lambda _: None}
    exec(example, names)
    topology = resolve(names["document"])
    assert topology.instances["b"].state == "stopped"
    assert topology.network_interfaces["a"].security_groups == ("web",)


def test_every_operation_can_be_imported() -> None:
    assert set(OPERATIONS) <= set(edit.__all__)
    assert sorted(name for names in families().values() for name in names) == sorted(OPERATIONS)
