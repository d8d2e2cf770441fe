"""`exec`, `shell` and `logs` as processes of their own, with all kinds of standard streams."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.control.protocol import Frame

from .conftest import TOPOLOGY, program
from .fake_keeper import Channel, FakeKeeper

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(autouse=True)
def _testbed(keeper: FakeKeeper) -> FakeKeeper:
    return keeper


def test_streams_and_status(command: Run) -> None:
    done = command("exec", "a", "--", "sh", "-c", "cat; echo err >&2; exit 9", input=b"in\n")
    assert (done.returncode, done.stdout, done.stderr) == (9, b"in\n", b"err\n")


def test_options_of_the_command_are_its_own(command: Run) -> None:
    assert command("exec", "a", "--", "echo", "-n", "--help").stdout == b"--help"
    assert command("exec", "a", "echo", "-e", "x").returncode in {0, 2}


def test_closed_stdin_is_empty(environment: dict[str, str]) -> None:
    words = ["sh", "-c", 'exec "$@" <&-', "sh", *program(), "exec", "a", "--", "wc", "-c"]
    done = subprocess.run(words, capture_output=True, timeout=60, check=True, env=environment)
    assert done.stdout.strip() == b"0"


@pytest.mark.parametrize("words", [["exec", "a", "--", "echo", "hi"], ["list"], ["logs", "cnd1"]])
def test_closed_stdout_is_no_bug(words: list[str], environment: dict[str, str]) -> None:
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *program(), *words]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("words", [["exec", "a", "--", "echo", "hi"], ["list"], ["plan"]])
def test_a_full_disk_is_no_bug(words: list[str], environment: dict[str, str]) -> None:
    words = [*words, str(TOPOLOGY)] if words == ["plan"] else words
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*program(), *words],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
            env=environment,
        )
    assert done.returncode == 3
    assert done.stderr == b"error: cannot write: no space left on device\n"


def test_following_logs_ends_when_nobody_reads_them(
    environment: dict[str, str], keeper: FakeKeeper
) -> None:
    def follow(channel: Channel, _: dict[str, Any]) -> None:
        channel.stream(Frame.STDOUT, b"one line\n")
        channel.receive()  # until the client is gone

    keeper.replies["logs"] = follow
    process = subprocess.Popen(
        [*program(), "logs", "-f", "cnd1"], stdout=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == -signal.SIGPIPE


def test_a_file_as_stdin(command: Run, tmp_path: Any) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"x" * 300_000)
    with path.open("rb") as file:
        assert command("exec", "a", "--", "wc", "-c", stdin=file).stdout.strip() == b"300000"


def test_a_command_that_does_not_read(command: Run) -> None:
    assert command("exec", "a", "--", "true", input=b"x" * 3_000_000).returncode == 0


def test_nobody_reads_our_output(environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*program(), "exec", "a", "--", "yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline() == b"y\n"
    process.stdout.close()
    assert process.wait(60) == 128 + signal.SIGPIPE
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on(
    number: signal.Signals, keeper: FakeKeeper, environment: dict[str, str]
) -> None:
    script = "trap 'echo got; exit 5' INT TERM; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        [*program(), "exec", "a", "--", "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert process.stdout.read() == b"got\n"
    assert process.wait(60) == 5
    assert keeper.signals == [number]
    process.stdout.close()


def test_unknown_node(command: Run) -> None:
    done = command("exec", "missing", "--", "true")
    assert done.returncode == 2
    assert b"no node 'missing'" in done.stderr


def test_tty_needs_one(command: Run) -> None:
    assert command("exec", "a", "--tty", "--", "true").returncode == 2


def test_env(command: Run) -> None:
    assert command("exec", "a", "-e", "A=b c", "--", "sh", "-c", "echo $A").stdout == b"b c\n"
    assert command("exec", "a", "-e", "=", "--", "true").returncode == 2


def test_shell_reads_commands_from_a_pipe(command: Run) -> None:
    done = command("shell", "a", input=b"echo $((6 * 7)); exit 4\n")
    assert (done.returncode, done.stdout) == (4, b"42\n")


def test_logs(command: Run, keeper: FakeKeeper) -> None:
    keeper.log = b"\xff binary\n"
    done = command("logs", "a", "bird")
    assert done.stdout == b"\xff binary\n"
    assert keeper.requests[-1] == {"op": "logs", "node": "a", "process": "bird", "follow": False}
    assert command("logs", "a", "nothing").returncode == 2


class Terminal:
    """The command line on a terminal of ours."""

    def __init__(self, words: list[str], environment: dict[str, str]) -> None:
        self.main, side = pty.openpty()
        self.resize(40, 100)
        self.before = termios.tcgetattr(self.main)
        self.process = subprocess.Popen(
            [*program(), *words],
            stdin=side,
            stdout=side,
            stderr=side,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(side)
        self.output = b""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """End the command; the descriptor's number is free for others only once nobody reads it."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self.main)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self.main, 4096):
                with self._changed:
                    self.output += data
                    self._changed.notify_all()

    def type(self, text: bytes) -> None:
        os.write(self.main, text)

    def expect(self, text: bytes) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.output, 30), self.output


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def open_terminal(*words: str) -> Terminal:
        made.append(Terminal(list(words), environment))
        return made[-1]

    yield open_terminal
    for entry in made:
        entry.close()


def test_shell_on_a_terminal(terminal: Callable[..., Terminal]) -> None:
    shell = terminal("shell", "a")
    shell.expect(b"[testbed:a]")
    shell.type(b"tty -s && echo on-a-$((1 + 1)); stty size\n")
    shell.expect(b"on-a-2")
    shell.expect(b"40 100")
    shell.type(b"exit 6\n")
    assert shell.process.wait(30) == 6
    assert termios.tcgetattr(shell.main) == shell.before


def test_ctrl_c_on_a_terminal_reaches_the_command(terminal: Callable[..., Terminal]) -> None:
    # No child: bash may take a signal that comes between two of them for theirs.
    script = "trap 'echo interrupted; exit 8' INT; echo ready; read line"
    running = terminal("exec", "a", "--", "bash", "-c", script)
    running.expect(b"ready")
    running.type(b"\x03")
    running.expect(b"interrupted")
    assert running.process.wait(30) == 8


def test_a_resized_window_is_passed_on(
    terminal: Callable[..., Terminal], keeper: FakeKeeper
) -> None:
    running = terminal("exec", "a", "--", "sh", "-c", "echo ready; cat")
    running.expect(b"ready")
    running.resize(50, 120)
    deadline = time.monotonic() + 30
    while not keeper.resizes and time.monotonic() < deadline:
        time.sleep(0.01)
    assert keeper.resizes == [[50, 120]]
    running.type(b"\x04")
    assert running.process.wait(30) == 0
