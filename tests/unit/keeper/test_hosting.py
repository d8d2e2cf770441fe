"""Programs of nodes as threads of one process: they end when told to, and leave nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace")

HARNESS = """
import asyncio, json, os, signal, subprocess, sys
from pathlib import Path
from testbed.keeper import prepared
from testbed.keeper.hosting import Hosting
from testbed.kernel import namespace
from testbed.plan.model import Process

namespace.create()
SERVICES = Process("services", ("testbed-services", "here", "http"))
log = Path(sys.argv[1])

def begin(control):
    return subprocess.Popen(prepared.words(["testbed-host"]), stdin=control).pid

def start():
    with log.open("ab") as file:
        return hosting.start("here", SERVICES, namespace.current(), file.fileno())

async def listening():
    while ":0050 " not in Path("/proc/thread-self/net/tcp").read_text():
        await asyncio.sleep(0.01)

async def stopped():
    await listening()
    first.signal(signal.SIGTERM)
    return hosting.wait(first, 60), first.status, len(hosting.running)

async def stopped_and_started():
    "A second one finds the port free."
    await stopped()
    start()
    await listening()
    return True

async def failed():
    await listening()
    second = start()
    return hosting.wait(second, 60), second.status, log.read_text()

async def killed():
    await listening()
    os.kill(first.pid, signal.SIGKILL)
    _, status = os.waitpid(first.pid, 0)
    hosting.lost(first.pid, status)
    start()
    await listening()
    return first.status, first.describe()

async def main():
    global hosting, first
    hosting = Hosting(begin)
    first = start()
    return await globals()[sys.argv[2]]()

print(json.dumps(asyncio.run(asyncio.wait_for(main(), 100))))
os._exit(0)
"""


def outcome(case: str, log: Path) -> Any:
    """What a case of the harness returns."""
    done = subprocess.run(
        [sys.executable, "-c", HARNESS, str(log), case],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_program_ends_when_it_is_told_to(tmp_path: Path) -> None:
    assert outcome("stopped", tmp_path / "log") == [True, 0, 0]


def test_one_that_has_ended_leaves_its_ports(tmp_path: Path) -> None:
    assert outcome("stopped_and_started", tmp_path / "log") is True


def test_one_that_fails_says_why_in_its_log(tmp_path: Path) -> None:
    ended, status, said = outcome("failed", tmp_path / "log")
    assert (ended, status) == (True, 1 << 8)
    assert "Address already in use" in said


def test_all_have_ended_when_their_process_has(tmp_path: Path) -> None:
    assert outcome("killed", tmp_path / "log") == [9, "killed by SIGKILL"]
