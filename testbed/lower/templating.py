"""The environment in which daemons' configurations and rulesets are rendered."""

from __future__ import annotations

from collections.abc import Iterable

import jinja2

environment = jinja2.Environment(
    loader=jinja2.PackageLoader("testbed.lower"),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - daemon configuration, not HTML; every value is typed
)


def _elements(items: Iterable[object]) -> str:
    """The elements of a set or map in nft's language; nothing for none."""
    text = ", ".join(map(str, items))
    return f"elements = {{ {text} }}" if text else ""


environment.filters["elements"] = _elements
