"""An Unbound whose zones change while it runs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.keeper import unbound

Server = Callable[..., list[str]]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / unbound.SOCKET)


@pytest.fixture
def answering(path: str) -> Iterator[Server]:
    """Starts an Unbound that gives these answers; what it was told."""
    threads: list[threading.Thread] = []

    def start(*answers: bytes) -> list[str]:
        told: list[str] = []
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(8)

        def run() -> None:
            with listener:
                for answer in answers:
                    with listener.accept()[0] as connection:
                        told.append(connection.recv(1000).decode())
                        connection.sendall(answer)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return told

    yield start
    for thread in threads:
        thread.join(10)


def test_zones_are_exchanged_one_by_one(path: str, answering: Server) -> None:
    told = answering(*[b"ok\n"] * 4)
    unbound.reload(path, ["zone-root", "zone-corp.internal"])
    assert told == [
        "UBCT1 auth_zone_reload corp.internal\n",
        "UBCT1 flush_zone corp.internal\n",
        "UBCT1 auth_zone_reload .\n",
        "UBCT1 flush_zone .\n",
    ]


def test_other_zones_are_read_all_at_once(path: str, answering: Server) -> None:
    told = answering(b"ok\n")
    unbound.reload(path, ["zones.conf", "zone-new.internal"])
    assert told == ["UBCT1 reload\n"]


def test_what_it_refuses(path: str, answering: Server) -> None:
    answering(b"error no auth-zone corp.\n")
    with pytest.raises(unbound.UnboundError, match="no auth-zone"):
        unbound.reload(path, ["zone-corp"])


def test_what_needs_another_start(path: str) -> None:
    with pytest.raises(unbound.UnboundError, match="at the start"):
        unbound.reload(path, ["unbound.conf"])
    with pytest.raises(unbound.UnboundError, match="No such file"):
        unbound.reload(path, ["zone-root"])
