"""The guest alone, of each kind: boot, channels, isolation, and that it dies whole.

client ──► control.sock ──► relay ──► control port ──► guest_main ──► stand-in keeper
                             ├── QEMU            or ── user-mode kernel
                             └── virtiofsd
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.control import console
from testbed.control.protocol import Frame, control_socket, pack

from .started import TIMEOUT_S, Started, gone, offspring

pytestmark = pytest.mark.packets

PROCESSES = {"qemu": ["qemu-system-x86", "virtiofsd"], "uml": ["linux"]}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    # Deep enough that the socket's path does not fit into a socket address.
    directory = tmp_path_factory.mktemp("runtime")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTBED_RUNTIME_DIR", str(directory))
        yield


class Starter:
    """Starts guests of one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self, name: str, *arguments: str) -> Started:
        return Started(name, "--guest", self.kind, *arguments)


@pytest.fixture(scope="module")
def start(runtime: None, guest_kind: str) -> Starter:
    return Starter(guest_kind)


@pytest.fixture(scope="module")
def shared(start: Starter) -> Iterator[Started]:
    """One guest for all tests that leave it alive."""
    started = start("shared", "--keeper", "stand_in_keeper:Keeper")
    outcome = started.outcome()
    assert outcome.get("ready"), outcome
    yield started
    started.end()


@pytest.fixture
def guest(start: Starter) -> Iterator[Started]:
    """A guest of the test's own, to be killed."""
    started = start("mortal", "--keeper", "stand_in_keeper:Keeper")
    outcome = started.outcome()
    assert outcome.get("ready"), outcome
    yield started
    started.end()


def test_socket_is_for_its_owner_only(shared: Started) -> None:
    path = control_socket("shared")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.smoke
def test_hello_comes_from_process_one_with_the_right_time(shared: Started) -> None:
    before = time.time()
    answer = shared.ask(op="hello")
    assert answer["name"] == "shared"
    assert answer["pid"] == 1
    assert abs(answer["time"] - before) < 5


def test_many_channels_at_once(shared: Started) -> None:
    connections = [shared.connect(op="echo") for _ in range(8)]
    try:
        for turn in range(3):
            for number, connection in enumerate(connections):
                connection.socket.sendall(pack(Frame.STDIN, b"%d-%d" % (number, turn)))
        for number, connection in enumerate(connections):
            echoes = [connection.frame() for _ in range(3)]
            assert echoes == [(Frame.STDOUT, b"%d-%d" % (number, turn)) for turn in range(3)]
    finally:
        for connection in connections:
            connection.close()


@pytest.mark.smoke
def test_big_transfer_both_ways(shared: Started) -> None:
    data = os.urandom(64 * 1024)
    blocks = 64  # 4 MiB, many times the credit of a channel
    with contextlib.closing(shared.connect(op="echo")) as connection:
        stream = pack(Frame.STDIN, data) * blocks
        sender = threading.Thread(target=connection.socket.sendall, args=(stream,))
        sender.start()
        echoes = [connection.frame() for _ in range(blocks)]
        sender.join()
        assert echoes == [(Frame.STDOUT, data)] * blocks


def test_slow_reader_stops_only_its_own_channel(shared: Started) -> None:
    blocks = 64
    with contextlib.closing(shared.connect(op="send", blocks=blocks)) as slow:
        assert slow.frame()[0] == Frame.STDOUT
        # The rest is more than every buffer on the way holds.
        assert shared.ask(op="hello")["pid"] == 1
        with contextlib.closing(shared.connect(op="send", blocks=16)) as quick:
            frames = [quick.frame() for _ in range(17)]
            assert json.loads(frames[-1][1]) == {"result": {}}
        received = sum(len(slow.frame()[1]) for _ in range(blocks - 1))
        assert received == (blocks - 1) * 64 * 1024


def test_client_that_leaves_disturbs_nobody(shared: Started) -> None:
    for _ in range(5):
        shared.connect(op="send", blocks=64).close()
    assert shared.ask(op="hello")["pid"] == 1


@pytest.mark.smoke
@pytest.mark.parametrize("directory", ["/tmp", "/var/tmp", "/etc", "/root", "/run", "/home"])
def test_writes_stay_in_the_guest(shared: Started, directory: str) -> None:
    path = Path(directory, f"from-guest-{os.getpid()}")
    assert shared.ask(op="write", path=str(path)) == {"errno": 0}
    assert shared.ask(op="read", path=str(path)) == {"text": "from the guest"}
    assert not os.path.exists(path)  # noqa: PTH110  Path's fails where we may not look


@pytest.mark.parametrize("directory", ["/usr", "/usr/local", "/opt", "/"])
def test_the_rest_is_read_only(shared: Started, directory: str) -> None:
    path = Path(directory, f"from-guest-{os.getpid()}")
    assert shared.ask(op="write", path=str(path)) == {"errno": errno.EROFS}
    assert not path.exists()


def test_remounting_does_not_open_the_host(shared: Started) -> None:
    path = Path("/usr/local", f"from-guest-{os.getpid()}")
    assert shared.ask(op="run", argv=["mount", "-o", "remount,rw", "/"])["returncode"] == 0
    try:
        assert shared.ask(op="write", path=str(path))["errno"] != 0
        assert not path.exists()
    finally:
        path.unlink(missing_ok=True)
        shared.ask(op="run", argv=["mount", "-o", "remount,ro", "/"])


@pytest.mark.smoke
def test_host_files_are_seen(shared: Started) -> None:
    for path in ("/etc/os-release", __file__):
        assert shared.ask(op="read", path=path) == {"text": Path(path).read_text()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["type", "bond", "mode", "802.3ad"],
        ["type", "vrf", "table", "10"],
        ["type", "dummy"],
        ["type", "wireguard"],
        ["type", "vxlan", "id", "5", "dstport", "4789"],
        ["type", "bridge"],
    ],
    ids=lambda arguments: arguments[1],
)
def test_the_kernel_has_what_the_host_lacks(shared: Started, arguments: list[str]) -> None:
    add = shared.ask(op="run", argv=["ip", "link", "add", "probe", *arguments])
    assert add == {"returncode": 0, "text": ""}
    shared.ask(op="run", argv=["ip", "link", "del", "probe"])


def test_no_links_but_loopback_and_it_is_up(shared: Started) -> None:
    text = shared.ask(op="run", argv=["ip", "-o", "link"])["text"]
    assert len(text.splitlines()) == 1
    assert "lo: <LOOPBACK,UP" in text


def test_second_relay_of_a_name_is_refused(shared: Started, start: Starter) -> None:
    second = start("shared", "--keeper", "stand_in_keeper:Keeper")
    outcome = second.outcome()
    assert second.process.wait(TIMEOUT_S) == 2
    assert "in use" in outcome["error"]["message"]
    assert shared.ask(op="hello")["pid"] == 1


@pytest.mark.smoke
def test_stop_answers_when_all_is_gone(guest: Started) -> None:
    children = guest.children()
    connection = guest.connect(op="stop")
    assert json.loads(connection.frame()[1]) == {"event": "stopping"}
    assert connection.result() == {}
    assert not control_socket("mortal").parent.exists()
    for pid in children.values():
        assert gone(pid, within_s=0)
    assert guest.process.wait(TIMEOUT_S) == 0


def kept(name: str) -> set[str]:
    """The files in a testbed's directory."""
    directory = control_socket(name).parent
    return {path.name for path in directory.iterdir()} if directory.exists() else set()


@pytest.mark.smoke
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS])
def test_killed_machine_takes_all_with_it(guest: Started, guest_kind: str, number: int) -> None:
    children = guest.children()
    assert sorted(children) == PROCESSES[guest_kind]
    inside = offspring(*children.values())
    waiting = guest.connect(op="echo")
    os.kill(children[PROCESSES[guest_kind][0]], number)
    assert waiting.rest() == b""
    how = console.ended("mortal")  # kept before any command hears of it
    assert guest.process.wait(TIMEOUT_S) == 0
    assert all(gone(pid) for pid in (*children.values(), *inside))
    assert how is not None
    assert signal.Signals(number).name in how.reason or "its kernel panicked" in how.reason
    assert kept("mortal") == {console.CONSOLE, console.END}


@pytest.mark.smoke
def test_panic_is_kept_with_all_that_was_said(guest: Started) -> None:
    waiting = guest.connect(op="echo")
    guest.connect(op="die")
    assert waiting.rest() == b""
    how = console.ended("mortal")
    assert guest.process.wait(TIMEOUT_S) == 0
    assert how is not None
    assert "its kernel panicked: Attempted to kill init" in how.reason
    assert "Attempted to kill init" in how.tail
    assert "Call Trace" not in how.tail
    assert how.tail.splitlines()[-1] in console.console("mortal").read_text()


@pytest.mark.smoke
def test_memory_that_is_used_up_inside_costs_only_who_uses_it(start: Starter) -> None:
    small = start("small", "--keeper", "stand_in_keeper:Keeper", "--memory-mb", "256")
    assert small.outcome().get("ready")
    try:
        hog = [sys.executable, "-c", "x = [b'x' * (n + (1 << 20)) for n in range(1000)]"]
        assert small.ask(op="run", argv=hog)["returncode"] == -signal.SIGKILL
        assert small.ask(op="hello")["pid"] == 1
        assert "Out of memory: Killed process" in console.console("small").read_text()
    finally:
        small.end()
    assert not control_socket("small").parent.exists()


def test_killed_relay_takes_all_with_it(guest: Started) -> None:
    children = guest.children().values()
    inside = offspring(*children)
    guest.process.kill()
    guest.process.wait(TIMEOUT_S)
    assert all(gone(pid) for pid in (*children, *inside))
    with pytest.raises(ConnectionRefusedError):
        guest.connect(op="hello")


@pytest.mark.smoke
def test_killed_file_server_ends_the_guest(guest: Started, guest_kind: str) -> None:
    if guest_kind != "qemu":
        pytest.skip("only QEMU has a file server")
    children = guest.children()
    os.kill(children["virtiofsd"], signal.SIGKILL)
    assert guest.process.wait(TIMEOUT_S) == 0
    assert gone(children["qemu-system-x86"])


def test_keeper_that_dies_ends_the_guest(guest: Started) -> None:
    children = guest.children()
    guest.connect(op="die")
    assert guest.process.wait(TIMEOUT_S) == 0
    assert all(gone(pid) for pid in children.values())


@pytest.mark.smoke
@pytest.mark.parametrize("milliseconds", [0, 100, 700, 1500])
def test_relay_killed_while_it_boots(start: Starter, milliseconds: int) -> None:
    started = start("young", "--keeper", "stand_in_keeper:Keeper")
    assert "progress" in (started.next_message() or {})
    select.select([], [], [], milliseconds / 1000)
    children = started.children().values()
    inside = offspring(*children)
    started.process.kill()
    started.process.wait(TIMEOUT_S)
    assert all(gone(pid) for pid in (*children, *inside))
    assert kept("young") <= {"control.sock", console.CONSOLE}


def test_launcher_that_goes_away_cancels_the_boot(start: Starter) -> None:
    started = start("orphan", "--keeper", "stand_in_keeper:Keeper")
    assert "progress" in (started.next_message() or {})
    assert started.process.stdout is not None
    started.process.stdout.close()
    assert started.process.wait(TIMEOUT_S) == 3
    assert not control_socket("orphan").exists()


@pytest.mark.smoke
def test_leash_let_go_is_told_to_the_keeper(guest: Started) -> None:
    children = guest.children()
    assert guest.process.stdin is not None
    guest.process.stdin.close()
    assert guest.process.wait(TIMEOUT_S) == 0
    assert all(gone(pid) for pid in children.values())
    assert not control_socket("mortal").exists()


def test_kernel_that_does_not_boot(start: Starter, guest_kind: str, tmp_path: Path) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(b"no kernel at all")
    outcome = start("broken", "--kernel", str(image)).outcome()
    assert outcome["error"]["exit_code"] == 3
    message = outcome["error"]["message"]
    assert ("ended while it booted" if guest_kind == "qemu" else "does not start") in message
    assert ("qemu" if guest_kind == "qemu" else str(image)) in message
    assert not control_socket("broken").exists()


def test_panic_is_told_with_what_led_to_it(start: Starter) -> None:
    outcome = start("panicking", "--keeper", "stand_in_keeper:dies_at_once").outcome()
    message = outcome["error"]["message"]
    assert "Attempted to kill init" in message
    assert "Call Trace" not in message
    assert kept("panicking") == {console.CONSOLE, console.END}


def test_keeper_that_does_not_start(start: Starter) -> None:
    outcome = start("keeperless", "--keeper", "no_such_module:Keeper").outcome()
    assert "No module named 'no_such_module'" in outcome["error"]["message"]


def test_deadline(start: Starter) -> None:
    outcome = start("late", "--deadline-s", "0.02").outcome()
    assert "did not come up in" in outcome["error"]["message"]


@pytest.mark.smoke
def test_two_guests_at_once(shared: Started, guest: Started) -> None:
    assert shared.ask(op="hello")["name"] == "shared"
    assert guest.ask(op="hello")["name"] == "mortal"


def test_hostile_name(runtime: None) -> None:
    started = Started("../x")
    assert "is not a testbed's name" in started.outcome()["error"]["message"]
    assert started.process.wait(TIMEOUT_S) == 2
