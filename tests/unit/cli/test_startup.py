"""Commands that are typed often start without the slow imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from testbed.cli import VERBS, cli

HEAVY = {"pydantic", "rich", "scapy", "jinja2", "yaml", "cryptography", "pyroute2", "asyncio"}
CLIENT_ONLY = """
import json, sys
from testbed.cli import cli
sys.argv = ["testbed", *json.loads(sys.argv[1])]
try:
    cli(prog_name="testbed")
except SystemExit:
    pass
print(json.dumps(sorted(name.partition(".")[0] for name in sys.modules)), file=sys.stderr)
"""


def imported_by(*arguments: str, environment: dict[str, str]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", CLIENT_ONLY, json.dumps(arguments)],
        capture_output=True,
        check=True,
        env=environment,
        timeout=60,
    )
    modules: list[str] = json.loads(done.stderr.splitlines()[-1])
    return set(modules)


@pytest.mark.parametrize(
    "arguments",
    [
        ("version",),
        ("completion", "zsh"),
        ("exec", "a", "--", "true"),
        ("ping", "a", "127.0.0.1", "-c", "1"),
        ("ping", "a", "cnd1", "-c", "1"),
        ("list", "--json"),
        ("list", "--topologies", "--json"),
        ("logs", "a"),
    ],
)
def test_starts_without_heavy_imports(
    arguments: tuple[str, ...], keeper: object, environment: dict[str, str]
) -> None:
    assert not imported_by(*arguments, environment=environment) & HEAVY


def test_plugin_imports_little() -> None:
    code = "import pytest, sys; before = set(sys.modules); import testbed.pytest_plugin\n"
    code += "print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    imported = done.stdout.split()
    assert {name for name in imported if not name.startswith("testbed.pytest_plugin")} == {
        "testbed"
    }


def complete(*words: str, incomplete: str = "") -> list[str]:
    found = ShellComplete(cli, {}, "testbed", "_TESTBED_COMPLETE")
    return [item.value for item in found.get_completions(list(words), incomplete)]


def test_completes_verbs_nodes_and_names(keeper: object) -> None:
    assert set(complete()) == set(VERBS)
    assert complete("exec", incomplete="op-") == ["op-a.ond1"]
    assert complete("status", "-n") == ["demo"]


def test_completes_topologies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, and what the shell knows of files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.yaml").write_text("testbed: 1\n")
    verbs = [("up",), ("plan",), ("graph",), ("validate",), ("diff",), ("check", "--topology")]
    for words in verbs:
        assert complete(*words, incomplete="tw") == [
            *("tw", "two", "two-racks", "two-racks-blocked", "two-servers")
        ]
    found = ShellComplete(cli, {}, "testbed", "_TESTBED_COMPLETE").get_completions(["up"], "tw")
    assert [item.type for item in found] == ["file", *["plain"] * 4]


def test_completes_what_checks_are_run_for() -> None:
    words = ("check", "--topology", "two-racks", "--subject")
    found = complete(*words, incomplete="op-a.lag")
    assert {"op-a.lag1", "op-a.lag2"} <= set(found)
    assert all(word.startswith("op-a.lag") for word in found)
    assert complete(*words, incomplete="nobody") == []
    assert complete("check", "--subject") == []  # no testbed runs


def test_completing_nodes_without_a_testbed_is_silent() -> None:
    assert complete("exec") == []
