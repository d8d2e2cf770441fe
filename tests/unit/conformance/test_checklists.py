"""AWS's checklists are covered, and each check has a site in which it must fail."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from testbed.conformance.runner import all_checks
from testbed.conformance.suites import SUITES

PAGE = Path(__file__).parents[3] / "docs" / "conformance.md"
ITEMS = {"A": 14, "B": 13, "C": 8, "D": 16, "E": 7, "G": 14}  # how many each list has


def rows() -> dict[str, str]:
    """The checklist's table: what is said of each item."""
    part = PAGE.read_text().partition("## AWS's checklists")[2].partition("\n## ")[0]
    found = re.findall(r"^\| ([A-G]\d+) .*?\| (.+) \|$", part, re.MULTILINE)
    return dict(found)


def test_each_item_of_the_checklists_is_a_check_or_a_reasoned_exclusion() -> None:
    table = rows()
    wanted = {f"{part}{n}" for part, last in ITEMS.items() for n in range(1, last + 1)}
    assert wanted | {"F1"} == set(table)
    for item, text in table.items():
        assert "`" in text or text.startswith("none: "), item


def test_the_checks_that_the_table_names_exist() -> None:
    names = {name for text in rows().values() for name in re.findall(r"`([\w-]+\.[\w-]+)`", text)}
    assert len(names) > 20
    assert names <= set(all_checks())


def test_each_check_has_a_mutation() -> None:
    for suite in SUITES:
        module = importlib.import_module(f"packets.mutations.{suite.replace('-', '_')}")
        broken = {name.partition(" ")[0] for name in module.MUTATIONS}
        checks = {name for name in all_checks() if name.startswith(f"{suite}.")}
        assert checks
        assert broken == checks
