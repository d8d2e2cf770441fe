"""The house style of tables, and values as their cells show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(title: str, *columns: str) -> Table:
    """An empty table in the house style."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def cell(value: Any) -> Text:
    """A value as a cell shows it; nothing for None."""
    if value is None:
        return Text("")
    if isinstance(value, list | tuple):
        return Text(", ".join(_item(item) for item in value))
    return Text(str(value))


def _item(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    if "name" in item:
        return str(item["name"]) if item.get("ok", True) else f"{item['name']}: {item.get('state')}"
    words = [str(item[key]) for key in ("via", "dev") if item.get(key)]
    return " ".join(words if item.get("alive", True) else [*words, "(dead)"])


def rows_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A plain table of values."""
    made = table(title, *columns)
    for row in rows:
        made.add_row(*(value if isinstance(value, Text) else cell(value) for value in row))
    return made


def size_text(count: int) -> str:
    """A number of bytes."""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
