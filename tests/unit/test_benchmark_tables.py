"""benchmarks/timers and benchmarks/guests: the tables made from what they measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import guests  # noqa: E402
import timing  # noqa: E402
import timing_probe  # noqa: E402

SPREAD = {"n": 10, "median": 1.2, "mean": 1.2, "deviation": 0.1, "min": 1.1, "p99": 1.5, "max": 2.0}


def timers() -> dict[str, Any]:
    clock = {"offset_ms": -1.0, "uncertain_ms": 0.2, "realtime_ppm": -2.0, "monotonic_ppm": -2.0}
    return {
        "clock": clock,
        "sleeps": [{"wanted": 1.0, **SPREAD}],
        "delays": [
            {"wanted": 1.0, "base": 0.1, **SPREAD},
            {"wanted": 20.0, "jitter": 5.0, **SPREAD, "deviation": 5 / 3**0.5},
        ],
        "losses": [{"wanted": 10.0, "n": 100, "lost_percent": 9.0}],
        "rates": [{"wanted": 10.0, "n": 100, "mbps": 9.5}],
        "bfd": {
            "seconds": 60,
            "idle": {"up": True, "flaps": 0},
            "loaded": {"up": True, "flaps": 2},
            "detection": SPREAD | {"median": 130.0, "min": 101.0, "max": 151.0},
        },
    }


def test_timers_are_shown_as_ratios() -> None:
    rows = dict(timing.rows_of(timers()))
    assert rows["sleep 1 ms"] == "1.200 (1.50)"
    assert rows["delay 1 ms"] == "1.100 (+0.30 ms)"
    assert rows["jitter 20 ± 5 ms"] == "1.00"
    assert rows["loss 10 %"] == "0.900"
    assert rows["rate 10 Mbit/s"] == "0.950"
    assert rows["BFD 3 x 50 ms, 60 s loaded: failures"] == "2"
    assert rows["BFD: noticed after (ms, 100 to 150 expected)"] == "130 (101 to 151)"


def guest(scale: float) -> dict[str, Any]:
    run = {"racks": 1, "timings": {"start": 300.0 * scale}, "up": 3000.0 * scale, "down": 30.0}
    return {
        "boot": [{"relay": 50.0, "kernel": 200.0 * scale, "keeper": 9.0, "total": 300.0 * scale}],
        "up": [run, run],
        "throughput": [dict.fromkeys(("RTT", *guests.PATHS), 100.0 / scale)],
        "failover": [{"uplink": 50.0}],
        "suite": [{"seconds": 30.0 * scale}],
    }


def test_guests_are_shown_beside_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    about = {"date": "2026-01-31", "processors": 2, "load": 0.1, "user": "root"}
    guests.show([about | {"kinds": {"uml": guest(1), "qemu": guest(10)}}])
    lines = capsys.readouterr().out.splitlines()
    assert "| | user-mode, root | QEMU, root |" in lines
    assert "| 1 racks: up | 3000 ms | 30000 ms (10.00) |" in lines
    assert "| TCP, WireGuard | 100 Mbit/s | 10 Mbit/s (0.10) |" in lines


def test_spread_of_what_was_measured() -> None:
    found = timing_probe.spread([3.0, 1.0, 2.0])
    assert (found["min"], found["median"], found["max"], found["n"]) == (1.0, 2.0, 3.0, 3)


def test_bird_time_of_day() -> None:
    assert timing_probe.of_day("01:02:03.500") == 3723.5
