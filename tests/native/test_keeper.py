"""What the keeper does when a change fails, a program dies, or there is very much of something."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.control import registry
from testbed.control.client import Client
from testbed.errors import HostError
from testbed.keeper.processes import ProcessTable
from testbed.kernel import namespace
from testbed.lifecycle import start
from testbed.lifecycle.bringup import bring_up, take_down
from testbed.plan.checks import LinkCheck
from testbed.plan.model import Bridge, Interface, Node, Plan, Process, Veth
from testbed.plan.roles import Role

NAME = "keeper-test"
SLEEP = Process("sleeper", ("sleep", "1000"))


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Testbeds of a test are registered in a directory of their own."""
    monkeypatch.setenv("TESTBED_RUNTIME_DIR", str(tmp_path / "run"))
    yield
    for name in registry.running():
        start.kill(name)


def cable() -> Plan:
    """Two nodes and a cable."""
    one = Node("one", Role.HOST, "x", interfaces=(Interface("e0", Veth("two", "e0")),))
    two = Node("two", Role.HOST, "x", interfaces=(Interface("e0", Veth("one", "e0")),))
    return Plan(NAME, (one, two), (LinkCheck("one", "e0"),))


def with_processes(plan: Plan, *processes: Process, files: dict[str, str] | None = None) -> Plan:
    """The plan with processes and files in its first node."""
    first = replace(plan.nodes[0], processes=processes, files=files or {})
    return replace(plan, nodes=(first, *plan.nodes[1:]))


def up(plan: Plan) -> Client:
    assert bring_up(plan, vm="never").pending == []
    return Client.connect(plan.name)


def state_of(client: Client, process: str) -> str:
    entries = [entry for node in client.status()["nodes"] for entry in node["processes"]]
    return next(str(entry["state"]) for entry in entries if entry["name"] == process)


def kill(client: Client, process: str) -> None:
    """Kill a process of the first node, and wait until the keeper knows."""
    entries = [entry for node in client.status()["nodes"] for entry in node["processes"]]
    pid = next(entry["pid"] for entry in entries if entry["name"] == process)
    assert client.run("one", ["kill", "-9", str(pid)]).returncode == 0
    deadline = time.monotonic() + 10
    while state_of(client, process) == "running" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert state_of(client, process) == "killed by SIGKILL"


def broken(change: str) -> Plan:
    """The plan with a change that fails when it has been carried out in part."""
    plan = cable()
    if change == "ruleset":
        one = replace(plan.nodes[0], nftables="table inet x { nonsense }")
        return replace(plan, nodes=(one, plan.nodes[1]))
    if change == "program":
        return with_processes(plan, SLEEP, Process("nothing", ("no-such-program",)))
    bad = Interface("br0", Bridge(), sysctls={"net/ipv4/conf/br0/nonsense": "1"})
    return replace(plan, nodes=(*plan.nodes, Node("three", Role.HOST, "x", interfaces=(bad,))))


@pytest.mark.parametrize(
    ("change", "message"),
    [("ruleset", "syntax error"), ("program", "no-such-program"), ("sysctl", "nonsense")],
)
def test_change_that_fails_is_taken_back(change: str, message: str) -> None:
    """What ran before runs again, and the next change is a difference from that."""
    plan = cable()
    client = up(plan)
    with pytest.raises(HostError, match=message) as raised:
        client.apply(broken(change))
    assert "internal error" not in str(raised.value)
    assert client.status()["ok"]
    assert client.plan()[0] == plan
    assert not client.apply(plan)["changed"]
    assert client.apply(with_processes(plan, SLEEP))["changed"]
    assert state_of(client, "sleeper") == "running"


@pytest.mark.parametrize("edit", ["none", "file"])
def test_daemon_that_died_is_started_by_the_next_up(edit: str) -> None:
    """Also when its file has changed, which a running one would be told by a signal."""
    daemon = replace(SLEEP, files=("setting",), reload="bird")
    plan = with_processes(cable(), daemon, files={"setting": "1"})
    client = up(plan)
    kill(client, "sleeper")
    assert not client.status()["ok"]
    files = {"setting": "1" if edit == "none" else "2"}
    outcome = client.apply(with_processes(cable(), daemon, files=files))
    assert outcome["changed"]
    assert client.status()["ok"]


LISTEN_LATE = """
import contextlib, os, socket, time
time.sleep(0.2)
path = "/run/node/one/x.sock"
with contextlib.suppress(FileNotFoundError):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
time.sleep(1000)
"""
CONNECT = """
import socket, time
socket.socket(socket.AF_UNIX).connect("/run/node/one/x.sock")
open("/run/node/one/connected", "a").write("x")
time.sleep(1000)
"""


def test_socket_that_a_killed_process_left_is_not_waited_for() -> None:
    """A process starts when the one that it needs listens anew, not when an old socket is there."""

    def plan(number: str) -> Plan:
        python = (sys.executable, "-I", "-S", "-c")
        env = {"NUMBER": number}
        maker = Process("maker", (*python, LISTEN_LATE), env=env)
        user = Process("user", (*python, CONNECT), env=env, after=("x.sock",))
        return with_processes(cable(), user, maker)

    client = up(plan("1"))
    wait_connected(client, b"x")
    client.apply(plan("2"))
    wait_connected(client, b"xx")


def wait_connected(client: Client, wanted: bytes) -> None:
    deadline = time.monotonic() + 10
    connected = b""
    while connected != wanted and time.monotonic() < deadline:
        assert state_of(client, "user") == "running"
        connected = client.run("one", ["cat", "/run/node/one/connected"]).stdout
    assert connected == wanted


@pytest.fixture
def many_files() -> Iterator[None]:
    """More open files than select() can handle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    namespace.raise_file_limit()
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    yield
    for descriptor in opened:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_many_open_files() -> None:
    """A keeper of many nodes has more descriptors than select() knows, and so may its client."""
    home = namespace.current()
    table = ProcessTable(lambda _: home)
    running = table.spawn("one", ["sleep", "1000"], name="sleep", stdio=(0, 1, 2))
    table.forget(["one"])
    assert running.describe() == "killed by SIGKILL"
    os.close(home)
    up(cable())
    assert take_down(NAME)


def test_many_nodes() -> None:
    """The keeper has descriptors for each; libnftables can't have one above 1023."""
    nodes = tuple(Node(f"n{number}", Role.HOST, "x") for number in range(1100))
    last = replace(nodes[-1], nftables="table inet x { }", processes=(SLEEP,))
    client = up(Plan(NAME, (*nodes[:-1], last)))
    assert "table inet x" in client.run(last.name, ["nft", "list", "ruleset"]).text
    assert client.apply(Plan(NAME, nodes))["changed"]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_stays_open() -> None:
    """In a test suite that brings many testbeds up and down."""
    up(cable()).close()
    assert take_down(NAME)
    before = open_files()
    up(cable()).close()
    assert take_down(NAME)
    assert open_files() == before


def in_mounts(script: str, call: Callable[[], None]) -> str:
    """What a Python child prints that carries out a shell script in mounts of its own first."""
    code = f"import {call.__module__} as module; module.{call.__name__}()"
    argv = ["unshare", "-m", "sh", "-c", f'{script} && exec "$@"', "sh", sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment).stdout


def print_error_of_up() -> None:
    """In the child: what `up` says."""
    try:
        bring_up(cable(), vm="never")
    except HostError as error:
        print(error, error.hint)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("mount -t tmpfs -o ro none /run/netns", "links in /run/netns: Read-only file system"),
        ("umount -q /run/netns; mount -t tmpfs none /run && touch /run/netns", "File exists"),
    ],
)
def test_place_for_namespaces_that_cannot_be_written(script: str, message: str) -> None:
    """An error that says so, and nothing is left."""
    Path("/run/netns").mkdir(exist_ok=True)
    assert message in in_mounts(script, print_error_of_up)
    assert registry.running() == []
