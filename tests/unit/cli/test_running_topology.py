"""Reading the topology of what runs again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from testbed.control.client import Client
from testbed.errors import UsageError
from testbed.lifecycle.bringup import running_topology
from testbed.testing import Testbed
from testbed.topology.file.load import load

from .conftest import TOPOLOGY
from .fake_keeper import FakeKeeper


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "racks.yaml.j2"
    path.write_text(TOPOLOGY.read_text().replace("delay: 10ms", "delay: {{ delay }}"))
    return path


def test_it_is_read_with_its_settings(
    call: Callable[..., Result], starting: dict[str, FakeKeeper], file: Path
) -> None:
    words = ("--set", "delay=3ms", "-n", "x", "--time", "virtual", "--seed", "3")
    assert call("up", str(file), *words).exit_code == 0
    topology = running_topology(Client("x"))
    assert topology.name == "x"
    assert topology.site == load(file, {"delay": "3ms"}).site


def test_a_changed_file_is_refused(
    call: Callable[..., Result], starting: dict[str, FakeKeeper], file: Path
) -> None:
    assert call("up", str(file), "--set", "delay=3ms", "-n", "x").exit_code == 0
    file.write_text(file.read_text().replace("10.77.7.88", "10.77.7.89"))
    with pytest.raises(UsageError, match="is not what testbed x runs any more") as caught:
        running_topology(Client("x"))
    assert caught.value.hint == f"bring the testbed to it: testbed up {file} -n x"


def test_what_is_from_no_file_is_refused(keeper: FakeKeeper) -> None:
    with pytest.raises(UsageError, match="brought up from no file"):
        running_topology(Client(keeper.name))


def test_suites_say_what_they_bring_up(starting: dict[str, FakeKeeper], file: Path) -> None:
    testbed = Testbed.up(file, {"delay": "1ms"}, name="x")
    testbed.apply(file, {"delay": "2ms"})
    assert running_topology(testbed.client).site == load(file, {"delay": "2ms"}).site
    testbed.restore()
    assert running_topology(testbed.client).site == load(file, {"delay": "1ms"}).site
    testbed.apply(load(file, {"delay": "1ms"}))
    with pytest.raises(UsageError, match="brought up from no file"):
        running_topology(testbed.client)
