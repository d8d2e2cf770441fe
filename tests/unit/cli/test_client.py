"""The client against a keeper that only pretends."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from testbed.control.client import Client
from testbed.control.protocol import Frame
from testbed.errors import HostError, NetworkError, UsageError

from .conftest import small_plan
from .fake_keeper import Channel, FakeKeeper


def test_connect_names_what_runs(keeper: FakeKeeper) -> None:
    with pytest.raises(UsageError) as caught:
        Client.connect("other")
    assert "other is not running" in caught.value.message
    assert caught.value.hint == "these are running: demo"


def test_connect_without_any(runtime: object) -> None:
    with pytest.raises(UsageError) as caught:
        Client.connect("demo")
    assert "testbed up" in (caught.value.hint or "")


def test_plan_and_source(keeper: FakeKeeper) -> None:
    Client.connect("demo").apply(small_plan(), made_from={"source": {"file": "x"}})
    plan, source = Client.connect("demo").plan()
    assert plan == small_plan()
    assert source == {"file": "x"}


def test_apply_hands_events_on(keeper: FakeKeeper) -> None:
    events: list[dict[str, Any]] = []
    made_from = {"document": {"data": {}}, "numbers": {}, "source": 1}
    client = Client.connect("demo")
    result = client.apply(small_plan(), made_from=made_from, on_event=events.append)
    assert result["changed"] is False
    assert [event["event"] for event in events] == ["phase", "phase", "waiting", "applied"]
    assert made_from.items() <= keeper.requests[-1].items()


def test_error_keeps_class_and_hint(keeper: FakeKeeper) -> None:
    with pytest.raises(UsageError) as caught:
        Client.connect("demo").run("missing", ["true"])
    assert caught.value.hint == "nodes: a"


def test_end_without_an_answer(keeper: FakeKeeper) -> None:
    keeper.replies["status"] = lambda *_: None
    with pytest.raises(HostError, match="ended before it answered"):
        Client.connect("demo").status()


def test_silent_keeper_times_out(keeper: FakeKeeper) -> None:
    release = threading.Event()
    keeper.replies["hello"] = lambda *_: {"late": release.wait(10)}
    with pytest.raises(TimeoutError):
        Client.connect("demo").hello(timeout=0.05)
    release.set()


def test_run_separates_the_streams(keeper: FakeKeeper) -> None:
    done = Client("demo").run("a", ["sh", "-c", "cat; echo err >&2; exit 7"], input=b"in")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"in", b"err\n")
    assert done.text == "in"


def test_run_moves_much_both_ways(keeper: FakeKeeper) -> None:
    data = bytes(range(256)) * 20_000
    assert Client("demo").run("a", ["cat"], input=data, timeout=60).stdout == data


def test_run_gives_a_signal_as_a_shell_does(keeper: FakeKeeper) -> None:
    assert Client("demo").run("a", ["sh", "-c", "kill -9 $$"]).returncode == 137


def test_run_passes_the_environment(keeper: FakeKeeper) -> None:
    done = Client("demo").run("a", ["sh", "-c", "echo $WORD"], env={"WORD": "x y"})
    assert done.stdout == b"x y\n"


def test_run_gives_up(keeper: FakeKeeper) -> None:
    with pytest.raises(NetworkError, match="did not end within"):
        Client("demo").run("a", ["sleep", "60"], timeout=0.05)


def test_popen_streams_and_signals(keeper: FakeKeeper) -> None:
    script = "trap 'echo bye; exit 3' INT; echo ready; while :; do sleep 0.05; done"
    with Client("demo").popen("a", ["sh", "-c", script]) as process:
        chunks = iter(process)
        assert next(chunks) == b"ready\n"
        process.signal(signal.SIGINT)
        assert b"bye" in b"".join(chunks)
        assert process.returncode == 3


def test_popen_talks(keeper: FakeKeeper) -> None:
    with Client("demo").popen("a", ["cat"]) as process:
        process.write(b"one")
        assert next(iter(process)) == b"one"
        process.close_stdin()
        assert process.wait(10).returncode == 0


def test_closing_hangs_up(keeper: FakeKeeper, tmp_path: Any) -> None:
    marker = tmp_path / "hup"
    script = f"trap 'touch {marker}; exit' HUP; echo ready; while :; do sleep 0.02; done"
    with Client("demo").popen("a", ["sh", "-c", script]) as process:
        assert next(iter(process)) == b"ready\n"
    deadline = time.monotonic() + 10
    while not marker.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert marker.exists()


def test_logs(keeper: FakeKeeper) -> None:
    keeper.log = b"line\n"
    assert b"".join(Client("demo").logs("a")) == b"line\n"
    with pytest.raises(UsageError):
        list(Client("demo").logs("a", "nothing"))


def test_logs_that_end_early(keeper: FakeKeeper) -> None:
    def broken(channel: Channel, _: dict[str, Any]) -> None:
        channel.stream(Frame.STDOUT, b"half")

    keeper.replies["logs"] = broken
    logs = Client("demo").logs("a", follow=True)
    assert next(logs) == b"half"
    with pytest.raises(HostError):
        next(logs)


def test_several_threads_share_a_client(keeper: FakeKeeper) -> None:
    client = Client.connect("demo")
    found: list[bytes] = []

    def ask(number: int) -> None:
        found.append(client.run("a", ["echo", str(number)]).stdout)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [f"{number}\n".encode() for number in range(8)]


def test_stop(keeper: FakeKeeper, call: Callable[..., Any]) -> None:
    Client.connect("demo").stop()
    assert keeper.stopped.wait(10)
