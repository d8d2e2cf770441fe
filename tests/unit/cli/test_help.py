"""Every verb has help with an example, a page, and the options that all have."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from testbed.cli import VERBS, cli

DOCS = Path(__file__).parents[3] / "docs" / "commands"
PRINTS_DATA = set(VERBS) - {"exec", "shell", "completion"}


def command_of(verb: str) -> click.Command:
    found = cli.get_command(click.Context(cli), verb)
    assert found is not None
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(verb: str, call: Callable[..., Result]) -> None:
    result = call(verb, "--help")
    assert result.exit_code == 0
    assert re.search(rf"Example:\n +.*testbed {verb}", result.output)


def test_the_group_has_an_example_and_whole_sentences(call: Callable[..., Result]) -> None:
    result = call("--help")
    assert re.search(r"Example:\n +testbed up", result.output)
    assert "\\b" not in result.output
    assert "..." not in result.output.partition("Commands:")[2]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_a_name(verb: str) -> None:
    options = {text for parameter in command_of(verb).params for text in parameter.opts}
    assert {"-n", "--name"} <= options
    assert ("--json" in options) == (verb in PRINTS_DATA)


@pytest.mark.parametrize("verb", VERBS)
def test_page_mentions_every_option(verb: str) -> None:
    page = (DOCS / f"{verb}.md").read_text()
    assert page.startswith(f"# testbed {verb}\n")
    for parameter in command_of(verb).params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            for text in (*parameter.opts, *parameter.secondary_opts):
                assert f"`{text}" in page or f", {text}" in page or f"/{text}" in page, text


def test_every_page_has_a_verb() -> None:
    assert {page.stem for page in DOCS.glob("*.md")} == {*VERBS, "README"}


def test_wrong_usage_exits_with_2(call: Callable[..., Result]) -> None:
    assert call("frobnicate").exit_code == 2
    assert call("ping", "a").exit_code == 2
    assert call("status", "--nonsense").exit_code == 2
    assert "Did you mean 'status'" in call("statsu").stderr


def test_a_bug_asks_for_a_report(
    call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    from testbed.control import registry

    def broken() -> list[str]:
        raise RuntimeError("oh no")

    monkeypatch.setattr(registry, "running", broken)
    result = call("list")
    assert result.exit_code == 3
    assert "RuntimeError: oh no" in result.stderr
    assert "please report" in result.stderr
    assert "Traceback" not in result.stderr
    monkeypatch.setenv("TESTBED_DEBUG", "1")
    assert "Traceback" in call("list").stderr
