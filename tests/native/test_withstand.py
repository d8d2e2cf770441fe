"""What a testbed on this kernel withstands: killing, doubling, breaking."""

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
from effort import times

from testbed.control import registry
from testbed.control.client import Client
from testbed.errors import TestbedError
from testbed.lifecycle import start
from testbed.plan.diff import diff
from testbed.plan.model import Node, Plan, Process
from testbed.plan.roles import Role
from testbed.testing import Testbed

ROOT = Path(__file__).parents[2]
TOPOLOGY = ROOT / "topologies" / "rack.yaml"
MOMENTS = times(3, 20)
others: set[int | Path] = set()  # processes and links of testbeds that other tests still use


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Testbeds of a test are registered in a directory of their own."""
    directory = tmp_path / "run"
    monkeypatch.setenv("TESTBED_RUNTIME_DIR", str(directory))
    monkeypatch.setenv("TESTBED_VM", "never")
    others.clear()
    others.update(processes(), links())
    yield directory
    for name in registry.running():
        start.kill(name)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "testbed", *arguments]


def run(*arguments: str, timeout: float = 180) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=timeout, check=False
    )


def names() -> list[str]:
    return [row["name"] for row in json.loads(run("list", "--json").stdout)]


def processes() -> set[int]:
    """Processes of testbeds: what runs in their PID namespaces, and keepers that have none yet."""
    own = Path("/proc/self/ns/pid").readlink()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"testbed.keeper" in words or (entry / "ns/pid").readlink() != own:
                    found.add(int(entry.name))
    return found - others


def links() -> set[Path]:
    """Namespaces that testbeds publish."""
    return {link for link in Path("/run/netns").glob("*.*") if link.is_symlink()} - others


def host_state() -> dict[str, str]:
    """Everything of this network namespace that a testbed must not touch."""
    commands = {
        "links": ["ip", "-o", "link"],
        "addresses": ["ip", "-o", "address"],
        "routes": ["ip", "route", "show", "table", "all"],
        "rules": ["ip", "rule"],
        "nftables": ["nft", "list", "ruleset"],
        "mounts": ["cat", "/proc/self/mountinfo"],
    }
    state = {
        key: subprocess.run(argv, capture_output=True, text=True, check=False).stdout
        for key, argv in commands.items()
    }
    sysctls = Path("/proc/sys/net")
    state["sysctls"] = "\n".join(
        f"{path}={_read(path)}"
        for path in sorted(sysctls.rglob("*"))
        if path.is_file() and "/neigh/" not in str(path)
    )
    return state


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        return error.strerror or ""


def nothing_left(runtime: Path) -> None:
    """No testbed, process, registration or namespace link is left."""
    deadline = time.monotonic() + 10
    while processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert names() == []
    assert processes() == set()
    assert not list(runtime.glob("*"))
    assert links() == set()


def test_up_twice_down_twice(runtime: Path) -> None:
    before = host_state()
    first = run("up", str(TOPOLOGY), "--json")
    assert first.returncode == 0, first.stderr
    assert host_state() == before
    second = json.loads(run("up", str(TOPOLOGY), "--json").stdout)
    assert second["changed"] is False
    assert names() == ["rack"]
    assert (Path("/run/netns") / "rack.web").exists()
    inside = ["ip", "netns", "exec", "rack.web", "ping", "-c", "1", "10.1.1.20"]
    assert subprocess.run(inside, capture_output=True, check=False).returncode == 0
    assert run("down").returncode == 0
    nothing_left(runtime)
    assert run("down", "-n", "rack").returncode == 0
    assert host_state() == before


@pytest.mark.parametrize("victim", ["command", "keeper"])
def test_killed_at_any_moment(runtime: Path, victim: str) -> None:
    """SIGKILL during `up` and after leaves nothing, and the next `up` works."""
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    started = time.monotonic()
    assert run("up", str(TOPOLOGY)).returncode == 0
    duration = time.monotonic() - started
    assert run("down").returncode == 0
    print(f"seed {seed}, up takes {duration:.1f} s")
    for _ in range(MOMENTS):
        process = subprocess.Popen(
            command("up", str(TOPOLOGY)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        moment = moments.uniform(0.02, 1.2 * duration)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        print(f"{moment:.3f} s: {process.returncode}, keeper {registry.owner('rack')}")
        if victim == "command":
            process.kill()
        elif (pid := registry.owner("rack")) is not None:
            os.kill(pid, signal.SIGKILL)
        process.wait(180)
        if is_complete("rack"):  # it had come through, or there was nothing to kill yet
            run("down")
        nothing_left(runtime)
    assert run("up", str(TOPOLOGY)).returncode == 0
    assert run("down").returncode == 0


def is_complete(name: str) -> bool:
    """Whether the testbed is there and ready, once what was killed has taken effect."""
    deadline = time.monotonic() + 10
    while registry.alive(name) and time.monotonic() < deadline:
        with contextlib.suppress(TestbedError):
            if Client(name).hello()["ready"]:
                return run("status", "-n", name).returncode == 0
        time.sleep(0.02)
    return False


def test_two_testbeds_with_the_same_addresses(runtime: Path) -> None:
    for name in ("one", "two"):
        assert run("up", str(TOPOLOGY), "-n", name).returncode == 0
    assert sorted(names()) == ["one", "two"]
    assert run("ping", "web", "db", "-n", "one").returncode == 0
    assert (
        run("exec", "-n", "two", "web", "--", "ip", "link", "set", "eth0", "down").returncode == 0
    )
    assert run("ping", "web", "db", "-n", "one").returncode == 0
    assert run("ping", "web", "db", "-n", "two", "-c", "1").returncode == 1
    assert run("status").returncode == 2  # which one?
    assert run("down", "--all").returncode == 0
    nothing_left(runtime)


def test_two_ups_of_one_name_at_once(runtime: Path) -> None:
    both = [subprocess.Popen(command("up", str(TOPOLOGY))) for _ in range(2)]
    assert [process.wait(180) for process in both] == [0, 0]
    assert names() == ["rack"]
    assert run("down").returncode == 0
    nothing_left(runtime)


def broken_topology(tmp_path: Path, bird_config: str) -> Path:
    (tmp_path / "bird.conf").write_text(bird_config)
    text = TOPOLOGY.read_text()
    text = text.replace("cnd1: {asn: 65000, daemon: bird}", "cnd1: {asn: 65000, config: bird.conf}")
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    return path


def test_a_configuration_that_its_daemon_refuses(runtime: Path, tmp_path: Path) -> None:
    result = run("up", str(broken_topology(tmp_path, "this is no configuration\n")))
    assert result.returncode == 2
    assert "bird.conf" in result.stderr
    assert "syntax error" in result.stderr
    nothing_left(runtime)


def test_daemon_that_dies_at_start(runtime: Path) -> None:
    dies = Process("bird", ("bird", "-f", "-c", "/nowhere"))
    with pytest.raises(TestbedError, match="bird in one"):
        Testbed.up(Plan("dies", (Node("one", Role.HOST, "x", processes=(dies,)),)), vm="never")
    nothing_left(runtime)


def test_missing_program(runtime: Path) -> None:
    """A program that the plan needs and the host does not have is named, with its package."""
    hidden = [("/usr/sbin/bird", "/dev/null")]
    script = "; ".join(f"mount --bind {empty} {program}" for program, empty in hidden)
    argv = ["unshare", "-m", "sh", "-c", f'{script}; exec "$@"', "sh"]
    result = subprocess.run(
        [*argv, *command("up", str(TOPOLOGY))], capture_output=True, text=True, check=False
    )
    assert result.returncode == 3
    assert "bird" in result.stderr
    assert "Traceback" not in result.stderr
    nothing_left(runtime)


def test_full_disk(runtime: Path, tmp_path: Path) -> None:
    """No room to register the testbed: an error that says so, and nothing is left."""
    script = 'mount -t tmpfs -o size=4k,nr_inodes=2 none "$0" && exec "$@"'
    full = tmp_path / "full"
    full.mkdir()
    environment = os.environ | {"TESTBED_RUNTIME_DIR": str(full / "run" / "deeper")}
    argv = ["unshare", "-m", "sh", "-c", script, str(full), *command("up", str(TOPOLOGY))]
    result = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 3
    assert "No space left" in result.stderr
    assert "Traceback" not in result.stderr
    assert processes() == set()


def test_plan_to_nothing_and_back_is_empty() -> None:
    """Building is a difference from nothing; nothing to nothing is no step."""
    assert diff(Plan("x", ()), Plan("x", ())) == []
