"""`testbed-questions`: sends DNS questions over UDP and prints the answers as JSON.

Standard input is a JSON object: ``server``, ``seconds`` to wait, and ``questions``,
messages in hexadecimal. The output is a list of messages, null without an answer.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time

AGAIN_S = 1.0  # as a resolver library does


def ask(server: str, questions: list[bytes], seconds: float) -> list[str | None]:
    """Ask all at once, and again what has no answer yet."""
    answers: list[str | None] = [None] * len(questions)
    selector = selectors.DefaultSelector()
    for index, _ in enumerate(questions):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.connect((server, 53))
        selector.register(sock, selectors.EVENT_READ, index)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and selector.get_map():
        for key in selector.get_map().values():
            try:
                key.fileobj.send(questions[key.data])  # type: ignore[union-attr]
            except OSError:
                continue
        receive(selector, answers, time.monotonic() + min(left, AGAIN_S))
    return answers


def receive(selector: selectors.BaseSelector, answers: list[str | None], until: float) -> None:
    """Take in answers until all are there or the time is over."""
    while selector.get_map() and (left := until - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            try:
                answers[key.data] = key.fileobj.recv(65536).hex()  # type: ignore[union-attr]
            except OSError:
                continue
            selector.unregister(key.fileobj)


def main(_: list[str]) -> None:
    """`testbed-questions`."""
    task = json.load(sys.stdin)
    questions = [bytes.fromhex(question) for question in task["questions"]]
    json.dump(ask(task["server"], questions, task["seconds"]), sys.stdout)
