"""Every command's output survives every locale."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from testbed.cli import VERBS
from testbed.cli.encoding import alike

LOCALES = {
    "latin": {"PYTHONIOENCODING": "iso-8859-1"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "c": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
EACH = """
import sys
from testbed.cli import VERBS, cli, encoding
encoding.write_any_character()
for verb in VERBS:
    cli([verb, "--help"], prog_name="testbed", standalone_mode=False)
from testbed.render.console import console
from testbed.render.reach import BLOCKED, REACHED
from rich.table import Table
table = Table("a \\u2192 b")
table.add_row(f"{REACHED}{BLOCKED}\\u00e9\\u6771")
console().print(table)
console(stderr=True).print("\\u2026 \\u6771")
"""


def run(program: str, name: str) -> subprocess.CompletedProcess[bytes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
    argv = [sys.executable, "-c", program]
    return subprocess.run(
        argv, env=environment | LOCALES[name], capture_output=True, check=False, timeout=60
    )


@pytest.mark.parametrize("name", LOCALES)
def test_every_help_and_a_table(name: str) -> None:
    done = run(EACH, name)
    assert done.returncode == 0, done.stderr.decode("latin-1")
    text = done.stdout.decode("latin-1")
    assert all(f"testbed {verb}" in text for verb in VERBS)
    if name == "latin":
        assert "o\N{MIDDLE DOT}\N{LATIN SMALL LETTER E WITH ACUTE}?" in text
    if name != "latin":
        assert "o.e?" in text or "\u25cf".encode().decode("latin-1") in text


def test_what_looks_alike() -> None:
    assert alike("a → b … \u25cf\N{MIDDLE DOT}") == "a -> b ... o."
    assert alike("┌─┐│╬═║") == "+-+|+-|"
    assert alike("Zürich, 東京") == "Zurich, ??"


def test_without_the_handler_it_would_fail() -> None:
    assert run("print('\\u25cf')", "latin").returncode != 0


def test_json_loses_nothing() -> None:
    program = (
        "from testbed.cli import encoding; encoding.write_any_character();"
        "from testbed.cli.common import echo_json; echo_json({'a': '\\u25cf'})"
    )
    assert "\\u25cf" in run(program, "latin").stdout.decode()
