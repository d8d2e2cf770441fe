"""Processes that may end: those of users', which have policies of restart, and may have a root.

A process with a container is started as `testbed-container`, which becomes crun. What crun
has started is another process, the first of a PID namespace: to kill crun would leave it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from testbed.plan.model import NODE_DIRECTORY, RESOLV_CONF, Process

PROGRAM = "testbed-container"
PID_FILE = "pid"
FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 60.0  # doubled each time, as Docker does
STEADY_S = 10.0  # after which a process that ends is started as if it were the first time


def directory(node: str, process: Process) -> Path:
    """Where what a process has of its own is kept: its bundle, what it writes, its number."""
    return Path(NODE_DIRECTORY, node, f"{process.name}.root")


def program(process: Process) -> str:
    """Return the name of the program that starts the process."""
    return process.argv[0] if process.container is None else PROGRAM


def words(node: str, process: Process) -> tuple[str, ...]:
    """Return the argument vector that starts the process."""
    if process.container is None:
        return process.argv
    resolver = Path(NODE_DIRECTORY, node, RESOLV_CONF)
    task = {
        "id": f"{node}.{process.name}",
        "name": process.name,
        "hostname": node,
        "directory": str(directory(node, process)),
        "argv": list(process.argv),
        "env": process.env,
        "resolv_conf": str(resolver) if resolver.exists() else "",
        "groups": bool(os.environ.get("TESTBED_GUEST")),
        "container": asdict(process.container),
    }
    return (PROGRAM, json.dumps(task))


def kill(pid_file: Path) -> bool:
    """Kill what crun has started, at which it ends, too; False where that is not known."""
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        return True
    return False


class Restarts:
    """When workloads that have ended are started again."""

    def __init__(self, start: Callable[[str, Process], None]) -> None:
        self._start = start
        self._waiting: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._delays: dict[tuple[str, str], float] = {}

    def ended(self, node: str, process: Process, code: int, lasted_s: float) -> float | None:
        """Note that a process has ended; after how many seconds it is started again, if ever."""
        again = process.restart == "always" or (process.restart == "on-failure" and code != 0)
        if not again:
            return None
        key = (node, process.name)
        last = 0.0 if lasted_s >= STEADY_S else self._delays.get(key, 0.0)
        delay = min(2 * last, LONGEST_DELAY_S) if last else FIRST_DELAY_S
        self._delays[key] = delay

        def start() -> None:
            self._waiting.pop(key, None)
            self._start(node, process)

        self._waiting[key] = asyncio.get_running_loop().call_later(delay, start)
        return delay

    def forget(self, node: str, name: str | None = None) -> None:
        """Start a process, or all of a node's, no more."""
        for key in [k for k in self._delays if k[0] == node and name in (None, k[1])]:
            del self._delays[key]
            if (timer := self._waiting.pop(key, None)) is not None:
                timer.cancel()
