"""The manual: what is made from the code is current, fences are closed, the README works."""

from __future__ import annotations

import ast
import builtins
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"]
MADE_LATER = {"tests/durations.json"}  # by scripts/test --record-durations


def fences(text: str) -> list[tuple[int, str, str]]:
    """The fenced blocks: line, language, content. AssertionError at one that is not closed."""
    found, start, language, content = [], 0, "", ""
    for number, line in enumerate(text.splitlines(), 1):
        if (match := re.match(r"\s*```(\S*)", line)) is None:
            content += line + "\n"
        elif start:
            assert not match[1], f"line {start}: the fence is not closed before line {number}"
            found.append((start, language, content))
            start = 0
        else:
            start, language, content = number, match[1], ""
    assert not start, f"line {start}: the fence is not closed"
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_fences_are_closed(page: Path) -> None:
    fences(page.read_text())


def test_what_is_made_from_the_code_is_current() -> None:
    argv = [sys.executable, str(ROOT / "scripts" / "documents.py"), "--check"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_modules_that_pages_name_exist(page: Path) -> None:
    text = page.read_text()
    for path in re.findall(r"`((?:testbed|tests|scripts|docs)/[a-z0-9_./-]+)`", text):
        assert path in MADE_LATER or (ROOT / path).exists(), path
    for module in re.findall(r"`(testbed(?:\.[a-z_]+)+)`", text):
        parts = module.split(".")
        found = [ROOT.joinpath(*parts[:end]) for end in (len(parts), len(parts) - 1)]
        assert any(p.is_dir() or p.with_suffix(".py").exists() for p in found), module


def test_the_python_in_the_readme_names_what_it_imports() -> None:
    blocks = [
        text
        for _, language, text in fences((ROOT / "README.md").read_text())
        if language == "python"
    ]
    assert blocks
    for block in blocks:
        tree = ast.parse(block)
        known = set(dir(builtins))
        used: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                known |= {alias.asname or alias.name for alias in node.names}
            elif isinstance(node, ast.FunctionDef):
                known |= {node.name, *(a.arg for a in node.args.args)}
            elif isinstance(node, ast.arg):
                known.add(node.arg)
            elif isinstance(node, ast.Name):
                (known if isinstance(node.ctx, ast.Store) else used).add(node.id)
        assert used <= known
