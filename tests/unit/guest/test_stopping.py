from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from testbed.control.protocol import Frame, pack, pack_message
from testbed.guest.stopping import StopWatcher

EVENT = pack_message({"event": "phase"})
RESULT = pack_message({"result": {}})


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(st.integers(0, 200)))
def test_result_of_stop_is_held_back(cuts: list[int]) -> None:
    watcher = StopWatcher()
    request = pack_message({"op": "stop"})
    assert b"".join(map(watcher.request, chunks(request, cuts))) == request
    answer = EVENT + pack(Frame.STDOUT, b"x") + RESULT
    assert b"".join(map(watcher.answer, chunks(answer, cuts))) == answer[: -len(RESULT)]
    assert watcher.held == RESULT


@given(st.sampled_from([pack_message({"op": "exec"}), b"\xff" * 9000, b"\0\0\0\0\1{", b""]))
def test_other_connections_pass_unchanged(request_: bytes) -> None:
    watcher = StopWatcher()
    assert watcher.request(request_) == request_
    assert watcher.answer(EVENT + RESULT) == EVENT + RESULT
    assert watcher.held == b""


def test_refused_stop_is_not_held_back() -> None:
    watcher = StopWatcher()
    watcher.request(pack_message({"op": "stop"}))
    error = pack_message({"error": {"message": "no"}})
    assert watcher.answer(error) == error
