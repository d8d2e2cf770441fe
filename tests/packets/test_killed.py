"""A micro VM dies whole: whatever is killed, whenever, nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import launch
from testbed.guest.kinds import KINDS

ROOT = Path(__file__).parents[2]
TOPOLOGY = ROOT / "topologies" / "rack.yaml"
NAME = "killed"
MOMENTS = {"uml": 12, "qemu": 10}
MACHINES = {"uml": ("linux",), "qemu": ("qemu", "virtiofsd")}

pytestmark = [pytest.mark.packets, pytest.mark.timeout(900)]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if problems := KINDS[name]().problems():
        pytest.skip("; ".join(problems))
    return name


@pytest.fixture
def runtime(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Testbeds of a test are registered in a directory of their own."""
    directory = tmp_path / "run"
    monkeypatch.setenv("TESTBED_RUNTIME_DIR", str(directory))
    monkeypatch.setenv("TESTBED_VM", kind)
    yield directory
    for name in launch.running():
        launch.kill(name)


def up() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "testbed", "up", str(TOPOLOGY), "-n", NAME]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "testbed", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def descendants(parent: int) -> dict[str, int]:
    """The relay that a command started, and its children, by role."""
    found: dict[str, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            started_by = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if b"testbed.guest.relay" in words and NAME.encode() in words:
                found["relay"] = int(entry.name)
            elif started_by == found.get("relay") or started_by == parent:
                for role in (role for machine in MACHINES.values() for role in machine):
                    if role.encode() in words[0].rpartition(b"/")[2]:
                        found[role] = int(entry.name)
    return found


def wait_for_nothing(parent: int) -> None:
    """Fail unless everything of the testbed is gone soon."""
    deadline = time.monotonic() + 15
    while (left := descendants(parent)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def test_killed_at_any_moment(runtime: Path, kind: str) -> None:
    victims = ("command", "relay", *MACHINES[kind])
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    started = time.monotonic()
    assert up().wait(300) == 0
    duration = time.monotonic() - started
    assert cli("down").returncode == 0
    print(f"seed {seed}, up takes {duration:.1f} s")
    for number in range(MOMENTS[kind]):
        process = up()
        moment = moments.uniform(0.1, 1.2 * duration)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        victim = victims[number % len(victims)]
        pid = process.pid if victim == "command" else descendants(process.pid).get(victim)
        print(f"{moment:.2f} s: SIGKILL to {victim} {pid}")
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(300)
        if launch.alive(NAME) and process.returncode == 0:  # nothing was there to kill yet
            assert cli("down").returncode == 0
        wait_for_nothing(process.pid)
        assert json.loads(cli("list", "--json").stdout) == []
        assert not list(runtime.glob("*"))
    assert up().wait(300) == 0
    assert cli("ping", "web", "db", "-n", NAME).returncode == 0
    assert cli("down").returncode == 0
    wait_for_nothing(0)
