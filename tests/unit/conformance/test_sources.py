"""The tags of sources resolve: each that is used has an entry, and each entry is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.conformance.sources import SOURCES, Part, parts

ROOT = Path(__file__).parents[3]
FILES = [*(ROOT / "testbed").rglob("*.py"), *(ROOT / "testbed").rglob("*.j2")]
# After `facts:` up to the parenthesis that closes it, a semicolon or the end of the line after;
# a check's sources up to its remedy.
CITED = re.compile(r"facts: ((?:[^);\n]|\n[ #]+)*)")
SECTION = re.compile(r"^ +Source: (.*?)^ +Remedy:", re.DOTALL | re.MULTILINE)
LIKE_A_TAG = re.compile(r"(?<![\w.'-])[A-Z]\d{0,2}[a-z]?(?![\w'-])")


def citations(text: str) -> Iterator[str]:
    for pattern in (CITED, SECTION):
        yield from (found[1] for found in pattern.finditer(text))


def cited(text: str) -> set[str]:
    """The tags of a text that are known."""
    return {part.text for said in citations(text) for part in parts(said) if part.title}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_tag_has_an_entry(path: Path) -> None:
    for said in citations(path.read_text()):
        unknown = [p.text for p in parts(said) if not p.title and LIKE_A_TAG.search(p.text)]
        assert not unknown, f"no entry in testbed/conformance/sources.py: {unknown}"


def test_every_entry_is_used() -> None:
    used = set().union(*(cited(path.read_text()) for path in FILES))
    fidelity = (ROOT / "docs" / "fidelity.md").read_text()
    used |= {part.text for part in parts(fidelity) if part.title}
    assert used >= set(SOURCES)
    table = (ROOT / "docs" / "conformance.md").read_text().partition("## AWS's checklists")[2]
    items = set(re.findall(r"^\| ([A-G]\d+) ", table, re.MULTILINE))
    assert used - set(SOURCES) <= items | {"G12"}  # of "G1 to G14"


def test_an_unknown_tag_is_found() -> None:
    said = next(citations("x = 1  # facts: R1, R9\n"))
    assert [part.text for part in parts(said)] == ["R1", ", ", "R9"]
    assert [part for part in parts(said) if part.text == "R9"] == [Part("R9")]
