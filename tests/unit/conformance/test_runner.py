"""What the runner makes of what goes wrong in pytest itself, beside the checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.conformance import collecting, runner
from testbed.conformance.results import Report
from testbed.errors import HostError
from testbed.lifecycle.installation import load_topology


def collector() -> runner._Collector:
    topology = load_topology("topologies/first.yaml", {}, None)
    return runner._Collector(None, topology, lambda _: True, None)


def test_checks_that_can_not_be_collected_are_no_interrupt(tmp_path: Path) -> None:
    file = tmp_path / "test_lag.py"
    file.write_text("def pytest_generate_tests(metafunc):\n    raise RuntimeError('no LAGs')\n")
    with file.open("a") as more:
        more.write("def test_one():\n    pass\n")
    with pytest.raises(HostError) as caught:
        runner._pytest([str(file)], [], collector())
    assert "no LAGs" in str(caught.value.hint)


def test_a_real_interrupt_is_one(tmp_path: Path) -> None:
    file = tmp_path / "test_vlan.py"
    file.write_text("def test_one():\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        runner._pytest([str(file)], [], collector())


def test_what_can_not_be_put_back_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "FOLDER", tmp_path)
    file = tmp_path / "test_bgp.py"
    file.write_text(
        "import pytest\n"
        "@pytest.fixture\n"
        "def fragile():\n    yield\n    raise OSError('still broken')\n"
        "def test_one(fragile, measure):\n"
        '    """One. \n\n    Expected: it.\n    Remedy: mend it.\n    """\n'
        "    measure('RTT', 1.0, 'ms')\n"
    )
    plugin = collector()
    options = ["-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(file)]
    pytest.main(options, plugins=[collecting, plugin])
    assert [result.outcome for result in plugin.results] == ["passed", "error"]
    assert [len(result.measurements) for result in plugin.results] == [1, 0]
    assert "still broken" in plugin.results[1].text
    assert Report("t", plugin.results).exit_code == 3
