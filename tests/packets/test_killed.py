"""A micro VM dies whole: whatever is killed, whenever, nothing is left.

The commands run in a mount namespace whose /tmp and /dev/shm are layers of
their own, so that only what they leave there is seen. Processes are told from
those of other testbeds by the directory in which these are registered.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from effort import times

from testbed.control import console, registry
from testbed.control.client import Client
from testbed.errors import TestbedError
from testbed.guest.kinds import KINDS
from testbed.lifecycle import start

ROOT = Path(__file__).parents[2]
TOPOLOGY = ROOT / "topologies" / "rack.yaml"
MOMENTS = {"uml": times(4, 24), "qemu": times(2, 12)}
MACHINES = {"uml": ("linux",), "qemu": ("qemu", "virtiofsd")}
SHARED = ("/tmp", "/dev/shm")
LAYERS = """\
set -e
for place in /tmp /dev/shm; do
    mkdir -p "$0$place/new" "$0$place/work"
    mount -t overlay layer -o "lowerdir=$place,upperdir=$0$place/new,workdir=$0$place/work" $place
done
echo ready
exec cat
"""

pytestmark = [pytest.mark.packets, pytest.mark.timeout(900)]


class World:
    """A runtime directory, and a view of the file system, for the testbeds of one test."""

    def __init__(self, directory: Path) -> None:
        self.runtime = directory / "run"
        self.layers = directory / "layers"
        self._sessions: set[int] = set()
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", LAYERS, self.layers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        self.separate = self._holder.stdout.readline() == "ready\n"
        if not self.separate:  # a container that may not mount: what others leave would count
            print("without a view of its own, /tmp and /dev/shm are not looked at")
        self._mounts = self.mounts()

    def command(self, *arguments: str) -> list[str]:
        """The words that run the command line in this view."""
        view = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", f"--wd={ROOT}"]
        return [*(view if self.separate else []), sys.executable, "-m", "testbed", *arguments]

    def up(self, name: str, kind: str) -> subprocess.Popen[bytes]:
        words = self.command("up", str(TOPOLOGY), "-n", name, "--vm", kind, "--timeout", "280")
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=300, check=False
        )

    def mounts(self) -> str:
        return Path(f"/proc/{self._holder.pid}/mountinfo").read_text() if self.separate else ""

    def processes(self) -> dict[int, list[str]]:
        """Those that belong to the testbeds, with their words.

        A process is ours by what it was started with, or by its session: that
        of a relay, which a user-mode kernel's own processes are in, too.
        """
        found = {}
        mark = str(self.runtime).encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                session = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[3])
                ours = mark in words + (entry / "environ").read_bytes()
                if ours and session != os.getsid(0):
                    self._sessions.add(session)
                if ours or session in self._sessions:
                    found[int(entry.name)] = words.decode(errors="replace").split("\0")
        found.pop(self._holder.pid, None)
        return found

    def role(self, role: str, name: str) -> int | None:
        """The relay of a testbed, or a process of its machine."""
        for pid, words in self.processes().items():
            program = words[0].rpartition("/")[2]
            if role == "relay":
                if "testbed.guest.relay" in words and name in words:
                    return pid
            elif program.startswith(role) and (role != "linux" or f"/{name}/" in " ".join(words)):
                return pid
        return None

    def assert_empty(self) -> None:
        """Fail unless everything of the testbeds is gone soon."""
        deadline = time.monotonic() + 15
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left
        assert self.mounts() == self._mounts
        for place in SHARED if self.separate else ():
            assert not list(Path(f"{self.layers}{place}/new").iterdir())

    def close(self) -> None:
        for name in registry.running():
            start.kill(name)
        self._holder.kill()
        self._holder.communicate()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    if os.geteuid() != 0:
        pytest.skip("needs root for a view of its own")
    directory = Path(tempfile.mkdtemp(prefix="tb-", dir="/run"))
    monkeypatch.setenv("TESTBED_RUNTIME_DIR", str(directory / "run"))
    made = World(directory)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)


def is_up(name: str) -> bool:
    """Whether the testbed has been brought up: then it lives on without the command."""
    try:
        return bool(Client.connect(name).hello(5).get("ready"))
    except (TestbedError, OSError):
        return False


def test_killed_at_any_moment(world: World, guest_kind: str) -> None:
    name = "killed"
    victims = ("command", "relay", *MACHINES[guest_kind])
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    started = time.monotonic()
    assert world.up(name, guest_kind).wait(300) == 0
    duration = time.monotonic() - started
    assert world.processes()
    assert world.run("down").returncode == 0
    print(f"seed {seed}, up takes {duration:.1f} s")
    for number in range(MOMENTS[guest_kind]):
        process = world.up(name, guest_kind)
        moment = moments.uniform(0.1, 1.2 * duration)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        victim = victims[number % len(victims)]
        pid = process.pid if victim == "command" else world.role(victim, name)
        print(f"{moment:.2f} s: SIGKILL to {victim} {pid}")
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(300)
        if registry.alive(name) and (process.returncode == 0 or is_up(name)):
            # nothing was there to kill yet, or the command had done its work
            assert world.run("down").returncode == 0
        world.assert_empty()
        # Of a guest that died while its relay lived, what it said is kept.
        rows = json.loads(world.run("list", "--json").stdout)
        assert [(row["name"], row["state"]) for row in rows] in ([], [(name, "dead")])
        kept = {console.CONSOLE, console.END} if rows else None
        left = {path.name for path in (world.runtime / name).glob("*")}
        assert left == (kept or set())
        assert (world.runtime / name).exists() == bool(rows)
    assert world.up(name, guest_kind).wait(300) == 0
    assert world.run("ping", "web", "db", "-n", name).returncode == 0
    assert world.run("down").returncode == 0
    assert not list(world.runtime.iterdir())
    world.assert_empty()


@pytest.mark.parametrize("other_kind", KINDS)
def test_two_at_once_end_apart(world: World, guest_kind: str, other_kind: str) -> None:
    """Two testbeds of the same topology, each with everything of its own."""
    if problems := KINDS[other_kind]().problems():
        pytest.skip("; ".join(problems))
    ups = [world.up("one", guest_kind), world.up("two", other_kind)]
    assert [process.wait(300) for process in ups] == [0, 0]
    for name in ("one", "two"):
        assert world.run("ping", "web", "db", "-n", name).returncode == 0
    assert (
        world.run("exec", "-n", "one", "web", "ip", "link", "set", "eth0", "down").returncode == 0
    )
    assert world.run("ping", "web", "db", "-n", "one", "--count", "1").returncode == 1
    assert world.run("ping", "web", "db", "-n", "two").returncode == 0
    machine = world.role(MACHINES[guest_kind][0], "one")
    assert machine is not None
    os.kill(machine, signal.SIGKILL)
    said = world.run("ping", "web", "db", "-n", "one")
    assert said.returncode == 3
    assert "the micro VM of testbed one has died" in said.stderr
    assert world.run("ping", "web", "db", "-n", "two").returncode == 0
    assert world.run("down", "-n", "one").returncode == 0
    assert world.run("status", "-n", "two").returncode == 0
    assert world.run("down", "-n", "two").returncode == 0
    assert not list(world.runtime.iterdir())
    world.assert_empty()
