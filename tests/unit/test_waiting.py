"""Waiting in programs that run as threads of one process."""

from __future__ import annotations

import os
import selectors
import socket
import threading

from testbed.programs import waiting


def test_sockets_are_closed_when_the_thread_is_to_end() -> None:
    """Whoever comes after may need their ports before anything is collected."""
    inner, outer = os.pipe()
    listening = socket.create_server(("127.0.0.1", 0))
    ended = []

    def serve() -> None:
        waiting.may_be_ended(inner)
        selector = waiting.Selector()
        selector.register(listening, selectors.EVENT_READ)
        try:
            selector.select()
        except SystemExit:
            ended.append(listening.fileno())

    thread = threading.Thread(target=serve)
    thread.start()
    os.close(outer)
    thread.join(30)
    os.close(inner)
    assert ended == [-1]
