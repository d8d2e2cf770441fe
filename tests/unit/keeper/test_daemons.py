"""Reading what BIRD and FRR answer on their control sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.keeper import bird, frr

GREETING = b"0001 BIRD 2.0.12 ready.\n"
SESSIONS = b"""\
2002-Name       Proto      Table      State  Since         Info
1002-device1    Device     ---        up     04:25:41.956
1006-
1002-to_cnd1    BGP        ---        up     04:25:43.123  Established
1006-  Description:    op OND1 - cnd1
   BGP state:          Established
     Routes:         2 imported, 1 filtered, 3 exported, 2 preferred

1002-to_cnd2    BGP        ---        start  04:25:43.123  Active        Socket: Connection refused
1006-  BGP state:          Active
     Last error:       Socket: Connection refused

0000
"""


def serve(path: Path, answer: Callable[[socket.socket], None]) -> threading.Thread:
    """A daemon that takes one connection."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1)

    def run() -> None:
        with listener:
            connection, _ = listener.accept()
            with connection:
                answer(connection)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("piece", [1, 7, 100000])
def test_bird_sessions(tmp_path: Path, piece: int) -> None:
    """However the answer is cut into pieces, and whatever in it looks like its end."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(GREETING)
        assert connection.recv(100) == b"show protocols all\n"
        text = SESSIONS.replace(b"\n0000\n", b"\n0000 \n")
        for start in range(0, len(text), piece):
            connection.sendall(text[start : start + piece])

    thread = serve(tmp_path / "bird.ctl", answer)
    sessions = bird.sessions(str(tmp_path / "bird.ctl"))
    thread.join()
    assert sessions == {
        "to_cnd1": bird.Session("Established", "04:25:43.123", "", 2, 3),
        "to_cnd2": bird.Session("Active", "04:25:43.123", "Socket: Connection refused"),
    }


def test_bird_that_hangs_up(tmp_path: Path) -> None:
    thread = serve(tmp_path / "bird.ctl", lambda connection: connection.sendall(GREETING))
    with pytest.raises(bird.BirdError):
        bird.sessions(str(tmp_path / "bird.ctl"))
    thread.join()
    with pytest.raises(bird.BirdError):
        bird.sessions(str(tmp_path / "nobody"))


def test_frr_sessions(tmp_path: Path) -> None:
    peer = {"state": "Established", "pfxRcd": 2}
    summary = {"sl": {"peers": {"10.0.0.1": peer}}, "default": {}, "totalPeers": 1}

    def answer(connection: socket.socket) -> None:
        assert connection.recv(100) == b"enable\0"
        connection.sendall(b"\0\0\0\0")
        connection.recv(100)
        text = json.dumps(summary).encode()
        connection.sendall(text[:10])
        connection.sendall(text[10:] + b"\0\0\0\0")

    thread = serve(tmp_path / "bgpd.vty", answer)
    assert frr.sessions(str(tmp_path / "bgpd.vty")) == {("sl", "10.0.0.1"): peer}
    thread.join()
