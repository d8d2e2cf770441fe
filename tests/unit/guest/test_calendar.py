"""The calendar of a guest with virtual time: when it grants, when it lets go, what it sends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.errors import UsageError
from testbed.guest.calendar import MESSAGE, Calendar, Op, patience_s
from testbed.guest.channel import FRAME, FrameType
from testbed.guest.gate import DOORBELL, Call, pack, told, unpack, untold

WINDOW_FRAME = FRAME.pack(FrameType.WINDOW, 1, 4) + bytes(4)
OPEN_FRAME = FRAME.pack(FrameType.OPEN, 1, 0)


class Guest(asyncio.WriteTransport):
    """The guest's end: what the calendar has answered."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[int, int, int]] = []
        self.answered = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.answers += MESSAGE.iter_unpack(bytes(data))
        self.answered.set()

    def taken(self) -> list[tuple[int, int, int]]:
        self.answered.clear()
        answers, self.answers = self.answers, []
        return answers


class Bench:
    """A calendar with a guest, without processes."""

    def __init__(self, inbox: Path) -> None:
        self.inbox = inbox
        self.heard = 0
        self.stuck = asyncio.Event()
        self.near, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.calendar = Calendar(
            inbox,
            self.near,
            patience_s=0.2,
            heard=lambda: self.heard,
            stuck=self.spins,
        )
        self.guest = Guest()
        self.calendar.connection_made(self.guest)

    def spins(self) -> None:
        self.stuck.set()

    def says(self, op: Op, value: int = 0, sequence: int = 7) -> list[tuple[int, int, int]]:
        self.calendar.data_received(MESSAGE.pack(op, sequence, value))
        return self.guest.taken()

    def calls(self, call: Call, sent: int = 0, taken: int = 0) -> list[tuple[int, int, int]]:
        return self.says(Op.BROADCAST, pack(call, told(sent, taken)))

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.inbox.iterdir()}

    def close(self) -> None:
        self.calendar.connection_lost(None)
        self.near.close()
        self.far.close()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    loop.close()


def turn(loop: asyncio.AbstractEventLoop) -> None:
    """Let everything that is due happen."""
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))


@pytest.fixture
def bench(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> Iterator[Bench]:
    async def make() -> Bench:
        return Bench(tmp_path)

    made = loop.run_until_complete(make())
    yield made
    made.close()


ACK = (Op.ACK, 7, 0)


@given(call=st.sampled_from(Call), number=st.integers(0, 2**56 - 1))
def test_calls_survive_their_packing(call: Call, number: int) -> None:
    assert unpack(pack(call, number)) == (call, number)


@given(sent=st.integers(0, 2**40), taken=st.integers(0, 2**24 - 1))
def test_what_is_told_survives_its_packing(sent: int, taken: int) -> None:
    assert untold(told(sent, taken)) == (sent % 2**32, taken)


def test_time_is_granted_with_leave_to_go_on(bench: Bench) -> None:
    assert bench.says(Op.REQUEST, 5_000_000) == [ACK]
    answers = bench.says(Op.WAIT)
    assert [answer[0] for answer in answers] == [Op.ACK, Op.FREE_UNTIL, Op.RUN]
    assert answers[1][2] > answers[2][2] == 5_000_000 == bench.calendar.now_ns


def test_leave_grows_while_the_guest_is_quick(bench: Bench) -> None:
    leaves = []
    for number in range(1, 30):
        bench.says(Op.REQUEST, number * 10**12)
        leaves.append(bench.says(Op.WAIT)[1][2] - number * 10**12)
    assert leaves == sorted(leaves)
    assert leaves[-1] > 100 * leaves[0]
    assert leaves[-1] <= 60 * 10**9


def test_messages_may_come_in_pieces(bench: Bench) -> None:
    whole = MESSAGE.pack(Op.REQUEST, 3, 9)
    bench.calendar.data_received(whole[:5])
    assert bench.guest.taken() == []
    bench.calendar.data_received(whole[5:])
    assert bench.guest.taken() == [(Op.ACK, 3, 0)]


def test_it_stands_until_there_is_a_file(bench: Bench, loop: asyncio.AbstractEventLoop) -> None:
    assert bench.calls(Call.STAND) == []
    turn(loop)
    assert bench.guest.taken() == []
    assert bench.calendar.standing
    bench.calendar.write(OPEN_FRAME)
    bench.calendar.write(b"more")
    turn(loop)
    assert bench.guest.taken() == [ACK]
    assert bench.files() == {"1": OPEN_FRAME + b"more"}  # one file, however many writes


def test_taken_files_are_removed(bench: Bench, loop: asyncio.AbstractEventLoop) -> None:
    bench.calls(Call.STAND)
    turn(loop)
    bench.calendar.write(OPEN_FRAME)
    turn(loop)
    bench.calls(Call.STAND, taken=1)
    assert bench.files() == {}


def test_it_stands_only_when_all_it_sent_is_here(
    bench: Bench, loop: asyncio.AbstractEventLoop
) -> None:
    bench.calls(Call.STAND, sent=10)
    bench.calendar.write(OPEN_FRAME)
    turn(loop)
    assert bench.guest.taken() == []
    bench.heard = 10
    bench.calendar.listen()
    turn(loop)
    assert bench.guest.taken() == [ACK]


def test_nothing_is_sent_between_rest_and_stand(
    bench: Bench, loop: asyncio.AbstractEventLoop
) -> None:
    assert bench.calls(Call.RUN) == [ACK]
    assert bench.calls(Call.REST) == [ACK]
    bench.calendar.write(OPEN_FRAME)
    turn(loop)
    assert bench.files() == {}
    assert bench.calls(Call.STAND) == []
    turn(loop)
    assert bench.guest.taken() == [ACK]


def test_the_doorbell_tells_a_running_guest(bench: Bench, loop: asyncio.AbstractEventLoop) -> None:
    bench.calls(Call.RUN)
    bench.calendar.write(OPEN_FRAME)
    turn(loop)
    assert bench.far.recv(99) == DOORBELL.pack(1)
    # What it has not taken when it stands, it takes then.
    assert bench.calls(Call.STAND, taken=0) == [ACK]


def test_leave_to_send_waits(bench: Bench, loop: asyncio.AbstractEventLoop) -> None:
    bench.calls(Call.RUN)
    bench.calendar.write(WINDOW_FRAME)
    turn(loop)
    assert bench.files() == {}
    assert bench.calls(Call.STALL) == [ACK]
    assert bench.files() == {"1": WINDOW_FRAME}


def test_a_reader_that_does_not_read_only_slows_it(
    bench: Bench, loop: asyncio.AbstractEventLoop
) -> None:
    bench.calls(Call.RUN)
    assert bench.calls(Call.STALL) == []

    loop.run_until_complete(asyncio.wait_for(bench.guest.answered.wait(), 10))
    assert bench.guest.taken() == [ACK]


def test_who_is_ahead_of_real_time_waits_unless_there_is_something(
    bench: Bench, loop: asyncio.AbstractEventLoop
) -> None:
    bench.says(Op.BROADCAST, pack(Call.PACE, 10**9))  # where pacing begins
    loop.run_until_complete(asyncio.wait_for(bench.guest.answered.wait(), 10))
    bench.guest.taken()
    assert bench.says(Op.BROADCAST, pack(Call.PACE, 10**12)) == []
    turn(loop)
    assert bench.guest.taken() == []
    bench.calendar.write(OPEN_FRAME)
    turn(loop)
    assert bench.guest.taken() == [ACK]


def test_a_guest_in_which_no_time_passes_is_noticed(
    bench: Bench, loop: asyncio.AbstractEventLoop
) -> None:
    bench.says(Op.WAIT)
    loop.run_until_complete(asyncio.wait_for(bench.stuck.wait(), 10))


def test_one_that_stands_is_not_stuck(bench: Bench, loop: asyncio.AbstractEventLoop) -> None:
    bench.calls(Call.STAND)
    loop.run_until_complete(asyncio.sleep(0.5))
    assert not bench.stuck.is_set()


def test_patience_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert patience_s() == 60
    monkeypatch.setenv("TESTBED_SPIN_TIMEOUT", "2.5")
    assert patience_s() == 2.5


@pytest.mark.parametrize("text", ["soon", "0", "-1", "inf", "nan"])
def test_wrong_patience_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTBED_SPIN_TIMEOUT", text)
    with pytest.raises(UsageError, match="TESTBED_SPIN_TIMEOUT"):
        patience_s()
