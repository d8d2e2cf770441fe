"""A process that the keeper has started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.keeper import workloads

if TYPE_CHECKING:
    from testbed.plan.model import Process

LOG_TAIL_BYTES = 2000


@dataclass
class Running:
    """A process the keeper started. `status` is None while it runs, else its wait status.

    `refused` says what is wrong with the configuration that it was given last. `process` is
    the plan's, where it is of the plan; `again_s` after how long it is started again.
    """

    pid: int
    name: str
    node: str
    log: Path | None = None
    started: float = field(default_factory=time.monotonic)
    status: int | None = None
    refused: str | None = None
    process: Process | None = None
    again_s: float | None = None
    wanted: bool = True
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal, None while it runs."""
        return None if self.status is None else os.waitstatus_to_exitcode(self.status)

    def signal(self, number: int) -> None:
        """Send a signal to it and its children; once it has ended its number may be another's."""
        if self.status is not None or (number == signal.SIGKILL and self._kill_inner()):
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _kill_inner(self) -> bool:
        if self.process is None or self.process.container is None:
            return False
        return workloads.kill(workloads.directory(self.node, self.process) / workloads.PID_FILE)

    @property
    def is_workload(self) -> bool:
        """Whether it may end."""
        return self.process is not None and self.process.restart != "required"

    @property
    def is_well(self) -> bool:
        """Whether it is as the plan wants it: running, or ended well where it may end."""
        if self.status is None:
            return not self.refused
        return self.is_workload and self.again_s is None and self.status == 0

    def describe(self) -> str:
        """Its state in words."""
        code = self.returncode
        if code is None and self.refused:
            return f"runs with its old configuration, it refused the new one: {self.refused}"
        if code is None:
            return "running"
        text = f"exited with status {code}"
        if code < 0:
            text = f"killed by {signal.Signals(-code).name}"
        return text if self.again_s is None else f"{text}, starts again after {self.again_s:g} s"

    def tail(self) -> str:
        """The end of its log."""
        if self.log is None or not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - LOG_TAIL_BYTES))
            return file.read().decode(errors="replace").strip()
