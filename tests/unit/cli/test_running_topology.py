"""The topology of what runs is the keeper's own document's, whatever has become of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from testbed.control.client import Client
from testbed.errors import UsageError
from testbed.lifecycle.live import running_plan, running_topology
from testbed.testing import Testbed
from testbed.topology.file.load import load

from .conftest import TOPOLOGY
from .fake_keeper import FakeKeeper


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "racks.yaml.j2"
    path.write_text(TOPOLOGY.read_text().replace("delay: 10ms", "delay: {{ delay }}"))
    return path


def test_it_has_its_settings_time_and_name(
    call: Callable[..., Result], starting: dict[str, FakeKeeper], file: Path
) -> None:
    words = ("--set", "delay=3ms", "-n", "x", "--time", "virtual", "--seed", "3")
    assert call("up", str(file), *words).exit_code == 0
    plan, topology = running_plan(Client("x"))
    assert topology.name == plan.name == "x"
    assert (topology.time, topology.seed) == (plan.time, plan.seed) == ("virtual", 3)
    assert topology.site == load(file, {"delay": "3ms"}).site


def test_the_file_is_not_read_again(
    call: Callable[..., Result], starting: dict[str, FakeKeeper], file: Path
) -> None:
    assert call("up", str(file), "--set", "delay=3ms", "-n", "x").exit_code == 0
    before = load(file, {"delay": "3ms"})
    file.unlink()
    assert running_topology(Client("x")).site == before.site


def test_what_is_from_a_plan_only_is_refused(keeper: FakeKeeper) -> None:
    with pytest.raises(UsageError, match="was not brought up from a topology") as caught:
        running_topology(Client(keeper.name))
    assert caught.value.hint == "update it to a topology: testbed up TOPOLOGY -n demo"


def test_suites_say_what_they_bring_up(starting: dict[str, FakeKeeper], file: Path) -> None:
    testbed = Testbed.up(file, {"delay": "1ms"}, name="x")
    testbed.apply(file, {"delay": "2ms"})
    assert running_topology(testbed.client).site == load(file, {"delay": "2ms"}).site
    testbed.restore()
    assert running_topology(testbed.client).site == load(file, {"delay": "1ms"}).site
    testbed.apply(load(file, {"delay": "1ms"}))
    with pytest.raises(UsageError, match="was not brought up from a topology"):
        running_topology(testbed.client)
