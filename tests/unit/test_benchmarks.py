"""benchmarks/up: its command line, its tables, the C program."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import measure  # noqa: E402
import report  # noqa: E402


def up_row(racks: int, nodes: int, links: int, scale: float) -> dict[str, Any]:
    timings = {"load": 30.0, "nodes": 2.0 * scale, "links": 3.0 * scale, "ready": 5000.0}
    run = {"timings": timings, "up": 5100.0, "down": 40.0, "pending": []}
    memory = {"before": 900_000, "after": 880_000, "keeper": 20480, "per_node": 2048.0}
    size = {"racks": racks, "nodes": nodes, "links": links, "processes": 12}
    return size | {"memory": memory, "runs": [run, run | {"up": 5300.0}]}


def recorded(mininet: float = 1000.0, testbed: float = 10.0) -> dict[str, Any]:
    machine = {"date": "2026-01-31", "processors": 2, "load": 0.1, "kernel": "6.1.0", "guest": None}
    ms = {"floor": [8.0, 9.0, 8.0], "testbed": [testbed] * 3, "mininet": [mininet]}
    return {
        "machine": machine,
        "up": [up_row(1, 16, 20, 1), up_row(4, 42, 56, 3)],
        "peers": [{"nodes": 16, "links": 20, "ms": ms}],
    }


def shown(result: dict[str, Any]) -> list[str]:
    output = io.StringIO()
    report.show(result, Console(file=output, width=200, color_system=None))
    return output.getvalue().splitlines()


def line_of(lines: list[str], start: str) -> list[str]:
    (line,) = [line for line in lines if line.strip().startswith(start)]
    return line.strip().removeprefix(start).split()


def test_sizes_come_from_the_command_line() -> None:
    options = measure.parser().parse_args(["--racks", "2,3", "--repeat", "7", "--vm", "never"])
    assert (options.racks, options.repeat, options.vm) == ([2, 3], 7, "never")
    assert measure.parser().parse_args([]).racks == [1, 4, 16]


@pytest.mark.parametrize("option", ["--racks", "--repeat"])
@pytest.mark.parametrize("value", ["", "0", "1,-4", "two", "1,,2"])
def test_wrong_numbers_are_refused(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        measure.parser().parse_args([option, value])
    assert ended.value.code == 2
    assert repr(value) in capsys.readouterr().err


def test_runs_are_gathered_by_size_and_way() -> None:
    lines = [
        {"nodes": nodes, "links": 20, "way": way, "ms": ms}
        for nodes, way, ms in ((16, "floor", 1.0), (16, "testbed", 2.0), (16, "floor", 1.5))
    ]
    lines.append({"nodes": 42, "links": 20, "way": "floor", "ms": 3.0})
    assert measure.gather(lines) == [
        {"nodes": 16, "links": 20, "ms": {"floor": [1.0, 1.5], "testbed": [2.0]}},
        {"nodes": 42, "links": 20, "ms": {"floor": [3.0]}},
    ]


def test_tables_show_minimum_median_and_ratios() -> None:
    lines = shown(recorded())
    assert line_of(lines, "up, in all") == ["5100", "/", "5200"] * 2
    assert line_of(lines, "all plumbing, ms a node") == ["0.31", "/", "0.31", "0.36", "/", "0.36"]
    assert line_of(lines, "a node with its programs") == ["2.00", "2.00"]
    assert line_of(lines, "testbed / C floor") == ["1.25"]
    assert line_of(lines, "Mininet / testbed") == ["100"]
    assert not [line for line in lines if line.startswith("MISSED")]


def test_missed_aims_are_named() -> None:
    missed = [line for line in shown(recorded(mininet=90, testbed=17)) if line.startswith("MISSED")]
    assert ["C floor" in missed[0], "Mininet" in missed[1], len(missed)] == [True, True, 2]


def test_a_peer_that_is_not_there_is_left_out() -> None:
    result = recorded()
    del result["peers"][0]["ms"]["mininet"]
    lines = shown(result)
    assert line_of(lines, "Mininet / testbed") == ["-"]
    assert not [text for _, text in report.aims(result) if "Mininet" in text]


def test_growth_beyond_linear_is_named() -> None:
    result = recorded()
    result["up"][1] = up_row(4, 42, 56, 8)
    assert [met for met, text in report.aims(result) if "linear" in text] == [False]


def test_it_finds_the_checkouts_python(tmp_path: Path) -> None:
    script = tmp_path / "benchmarks" / "up"
    python = tmp_path / ".venv" / "bin" / "python"
    for path in (script, python):
        path.parent.mkdir(parents=True)
    for name in ("up", "wrapper.py"):
        shutil.copy(BENCHMARKS / name, script.parent)
    command = [sys.executable, "-E", "-s", "-S", str(script), "--racks", "2"]
    alone = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (alone.returncode, "scripts/setup" in alone.stderr) == (3, True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(script), "--racks", "2"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_floor_compiles_without_warnings(tmp_path: Path) -> None:
    program = tmp_path / "floor"
    warnings = ["-Wall", "-Wextra", "-Werror"]
    subprocess.run(["cc", "-O2", *warnings, "-o", program, BENCHMARKS / "floor.c"], check=True)
    assert subprocess.run([program, "0", "0"], check=False).returncode == 2
