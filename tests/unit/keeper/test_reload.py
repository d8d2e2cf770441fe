"""A BIRD that is given another configuration while it runs."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from testbed.errors import HostError
from testbed.keeper import bird, processes, readiness, status
from testbed.keeper.processes import ProcessTable
from testbed.keeper.running import Running
from testbed.kernel.apply import Kernel
from testbed.plan.model import Node, Plan, Process
from testbed.plan.roles import Role
from testbed.plan.steps import ReloadProcess

DAEMON = Process("bird", ("bird", "-f"), files=("bird.conf",), reload="bird")
ERROR = "/run/node/cnd1/bird.conf:3:3 syntax error, unexpected CF_SYM_UNDEFINED"
ACCEPTED = b"0002-Reading configuration from bird.conf\n0003 Reconfigured\n"
LATER = b"0002-Reading configuration from bird.conf\n0004 Reconfiguration in progress\n"
REFUSED = f"0002-Reading configuration from bird.conf\n8002 {ERROR}\n".encode()


def answer_once(path: Path, reply: bytes) -> threading.Thread:
    """A BIRD that answers one command."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1)

    def run() -> None:
        with listener, listener.accept()[0] as connection:
            connection.sendall(b"0001 BIRD 2.0.12 ready.\n")
            assert connection.recv(100) == b"configure\n"
            connection.sendall(reply)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize(("reply", "expected"), [(ACCEPTED, None), (LATER, None), (REFUSED, ERROR)])
def test_configure(tmp_path: Path, reply: bytes, expected: str | None) -> None:
    thread = answer_once(tmp_path / "bird.ctl", reply)
    assert bird.configure(str(tmp_path / "bird.ctl")) == expected
    thread.join()


def test_a_refused_configuration_is_not_ready_until_it_is_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "NODE_DIRECTORY", str(tmp_path))
    (tmp_path / "cnd1").mkdir()
    plan = Plan("demo", (Node("cnd1", Role.CUSTOMER_DEVICE, "site", processes=(DAEMON,)),))
    table = ProcessTable(lambda _: -1)

    def reload(reply: bytes) -> None:
        path = tmp_path / "cnd1" / "bird.ctl"
        path.unlink(missing_ok=True)
        thread = answer_once(path, reply)
        table.start([ReloadProcess("cnd1", DAEMON)])
        thread.join()

    async def wait() -> None:
        async for _ in readiness.watch(lambda: plan, Kernel(table), table, 1.0):
            pass

    with subprocess.Popen(["sleep", "60"]) as sleeping:
        table.daemons["cnd1", "bird"] = Running(sleeping.pid, "bird", "cnd1")
        reload(REFUSED)
        with pytest.raises(HostError, match="bird in cnd1 refused its configuration") as caught:
            asyncio.run(wait())
        assert ERROR in str(caught.value.hint)
        row = status.status(plan, Kernel(table), table)["nodes"][0]
        assert not row["ok"]
        assert ERROR in row["state"]
        reload(ACCEPTED)
        asyncio.run(wait())
        assert status.status(plan, Kernel(table), table)["nodes"][0]["ok"]
        sleeping.kill()
