"""What commands say of a word that they do not know, and which words they offer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from testbed import __version__
from testbed.cli.common import complete_places
from testbed.cli.metrics import number
from testbed.errors import UsageError
from testbed.probes.capture_points import split

from .conftest import small_plan
from .fake_keeper import FakeKeeper


def test_a_word_that_is_neither_place_nor_filter() -> None:
    with pytest.raises(UsageError, match="no node 'cnd2' in demo, and no filter begins") as caught:
        split(["cnd1", "cnd2"], small_plan())
    assert caught.value.hint == "did you mean 'cnd1'?"


@pytest.mark.parametrize("words", [["tcp"], ["not", "arp"], ["(tcp)"], ["10.0.0.1"], ["tcp[13]&2"]])
def test_a_filter_stays_one(words: list[str]) -> None:
    assert split(["cnd1", *words], small_plan()) == (["cnd1"], " ".join(words))


def test_the_version(call: Callable[..., Result]) -> None:
    assert call("--version").output == f"testbed {__version__}\n"


@pytest.mark.usefixtures("keeper")
def test_interfaces_are_offered_behind_their_node() -> None:
    context = click.Context(click.Command("capture"))
    offered = [
        [item.value for item in complete_places(context, click.Argument(["x"]), begun)]
        for begun in ("cn", "cnd1:op-a-", "region.edge:")
    ]
    assert offered[0] == ["cnd1"]
    assert offered[1] == ["cnd1:op-a-1", "cnd1:op-a-2"]
    assert "region.edge:lo" in offered[2]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (429639000.0, "429,639,000"),
        (1.0, "1"),
        (0.0, "0"),
        (0.0125, "0.0125"),
        (1234.56, "1,234.6"),
    ],
)
def test_a_metric_is_written_in_full(value: float, text: str) -> None:
    assert number(value) == text


def test_list_names_the_others(call: Callable[..., Result], keeper: FakeKeeper) -> None:
    assert call("list", "-n", "other").output == f"other is not running; these are: {keeper.name}\n"


def test_no_folder_is_made_for_a_bundle(
    call: Callable[..., Result], keeper: FakeKeeper, tmp_path: Path
) -> None:
    result = call("bundle", "-n", keeper.name, "-o", str(tmp_path / "no" / "b.tar.gz"))
    assert result.exit_code == 2
    assert "no such folder" in result.stderr
    assert not list(tmp_path.iterdir())
