"""What is said of a testbed whose micro VM has died, and the console that is kept."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from testbed.control import console, registry
from testbed.control.client import Client
from testbed.control.protocol import testbed_directory as directory_of
from testbed.errors import HostError

from .conftest import program
from .fake_keeper import FakeKeeper

Call = Callable[..., Result]


def die(name: str = "demo") -> None:
    """Leave what the relay of a guest that died leaves."""
    log = console.ConsoleLog(name)
    log.write(b"[ 0.1] Linux\r\n[ 0.2] oops\r\n")
    console.record(name, "its kernel panicked: oops", "[ 0.2] oops")


def test_every_command_says_how_it_died(call: Call) -> None:
    die()
    for words in (["status"], ["exec", "a", "true"], ["status", "-n", "demo"]):
        result = call(*words)
        assert result.exit_code == 3
        assert "micro VM of testbed demo has died: its kernel panicked: oops" in result.stderr
        assert "[ 0.2] oops" in result.stderr
        assert "testbed logs --guest -n demo" in result.stderr


def test_the_running_command_says_it_too(keeper: FakeKeeper) -> None:
    def die_now(*_: Any) -> None:
        console.record("demo", "qemu was killed by SIGKILL", "")

    keeper.replies["status"] = keeper.replies["exec"] = keeper.replies["logs"] = die_now
    client = Client.connect("demo")
    for action in (
        client.status,
        lambda: client.run("a", ["true"]),
        lambda: list(client.logs("a")),
    ):
        with pytest.raises(HostError, match="killed by SIGKILL"):
            action()


def test_a_dead_one_is_listed_until_down(call: Call, runtime: Path) -> None:
    die()
    (directory_of("demo") / "start.log").touch()
    (directory_of("demo") / "guest").mkdir()
    row = json.loads(call("list", "--json").output)[0]
    assert (row["name"], row["state"]) == ("demo", "dead")
    assert row["reason"] == "its kernel panicked: oops"
    assert "dead" in call("list").output
    kept = {path.name for path in directory_of("demo").iterdir()}
    assert kept == {console.CONSOLE, console.END}
    assert call("down").output == "demo: had died\n"
    assert not list(runtime.iterdir())
    assert json.loads(call("list", "--json").output) == []


def test_down_all_forgets_the_dead(call: Call, runtime: Path) -> None:
    die("one")
    die("two")
    assert call("down").exit_code == 2
    rows = json.loads(call("down", "--all", "--json").output)
    assert rows == [{"name": name, "stopped": False} for name in ("one", "two")]
    assert not list(runtime.iterdir())


def test_what_runs_comes_before_what_died(call: Call, keeper: FakeKeeper) -> None:
    die("other")
    assert json.loads(call("status", "--json").stdout)["name"] == "demo"


def test_logs_of_a_dead_guest(call: Call) -> None:
    die()
    assert call("logs", "--guest").output == "[ 0.1] Linux\n[ 0.2] oops\n"
    assert call("logs", "--guest", "--follow", "-n", "demo").output.endswith("oops\n")
    answer = json.loads(call("logs", "--guest", "--json").output)
    assert answer["ended"]["reason"] == "its kernel panicked: oops"
    assert answer["ended"]["tail"] == "[ 0.2] oops"
    assert answer["console"].startswith("[ 0.1] Linux")


def test_logs_of_a_living_guest(call: Call, keeper: FakeKeeper) -> None:
    result = call("logs", "--guest")
    assert result.exit_code == 2
    assert "has no micro VM" in result.stderr
    console.ConsoleLog("demo").write(b"hello\r\n")
    assert call("logs", "--guest").output == "hello\n"
    answer = json.loads(call("logs", "--guest", "--json").output)
    assert answer == {"name": "demo", "ended": None, "console": "hello\n"}


def test_following_ends_with_the_testbed(keeper: FakeKeeper, environment: dict[str, str]) -> None:
    holder = subprocess.Popen(["sleep", "60"])
    script = (
        "from testbed.control import registry; "
        f"registry.owner = lambda _: {holder.pid}; "
        "from testbed.cli import main; main()"
    )
    log = console.ConsoleLog("demo")
    log.write(b"first\n")
    follower = subprocess.Popen(
        [*program()[:-1], script, "logs", "--guest", "-f", "-n", "demo"],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == "first\n"
    log.write(b"second\n")
    assert follower.stdout.readline() == "second\n"
    holder.kill()
    holder.wait()
    assert follower.wait(30) == 0
    follower.stdout.close()


def test_logs_wants_a_node_or_the_guest(call: Call, keeper: FakeKeeper) -> None:
    assert call("logs").exit_code == 2
    assert call("logs", "a", "--guest").exit_code == 2
    assert call("logs", "a", "--json", "--follow").exit_code == 2


def test_a_long_console_is_cut(runtime: Path) -> None:
    log = console.ConsoleLog("demo")
    line = b"x" * 1023 + b"\n"
    reader = console.Reader("demo")
    for number in range(3 * console.LIMIT // 1024):
        log.write(line)
        if number == 1000:
            assert len(reader.read()) == 1001 * 1024
    log.write(b"last\n")
    size = console.console("demo").stat().st_size
    assert console.LIMIT // 2 <= size <= console.LIMIT + 1024
    assert reader.read().endswith(b"last\n")


def test_a_new_boot_starts_anew(runtime: Path) -> None:
    die()
    console.ConsoleLog("demo")
    assert console.ended("demo") is None


def test_a_record_that_is_damaged_is_none(runtime: Path) -> None:
    die()
    (directory_of("demo") / console.END).write_text('{"reason": 1}')
    assert console.ended("demo") is None
    assert registry.running() == []
    assert not list(runtime.iterdir())
