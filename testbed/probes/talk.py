"""A program in a node that is told words, and answers each with a line of JSON."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from testbed.errors import HostError

if TYPE_CHECKING:
    from testbed.control.client import Client, RemoteProcess

ANSWER_S = 60.0  # a busy machine is slow


class Talk:
    """The program, as long as its `with` block lasts: it ends with its standard input.

    Virtual time goes on for it only between `drive(clock=True)` and `drive(clock=False)`, and
    while it answers.
    """

    def __init__(self, client: Client, node: str, argv: Sequence[str]) -> None:
        self.node = node
        self._process: RemoteProcess = client.popen(node, list(argv), clock=True)
        self._changed = threading.Condition()
        self._answers: list[dict[str, Any]] = []
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close_stdin()
        self._reader.join(ANSWER_S)
        self._process.connection.close()

    def _read(self) -> None:
        """Take in what the program says; runs in a thread of its own."""
        text = b""
        try:
            for chunk in self._process.chunks():
                *lines, text = (text + chunk).split(b"\n")
                with self._changed:
                    for message in map(json.loads, lines):
                        self._take(message)
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _take(self, message: dict[str, Any]) -> None:
        """Take in a line, which is an answer if nothing else."""
        self._answers.append(message)

    def drive(self, *, clock: bool) -> None:
        """Let virtual time go on for it, or not."""
        self._process.drive(clock=clock)

    def tell(self, word: str) -> dict[str, Any]:
        """Say a word to the program, and return its answer. HostError if it has ended."""
        drives = self._process.drives
        with self._changed:
            self._answers.clear()
            self._process.write(f"{word}\n".encode())
            self._process.drive(clock=True)  # it cannot answer while virtual time stands still
            self._changed.wait_for(lambda: self._ended or self._answers, ANSWER_S)
            self._process.drive(clock=drives)
            if not self._answers:
                said = bytes(self._process.stderr).decode(errors="replace").strip()
                raise HostError(f"a program in {self.node} has ended", hint=said or None)
            return self._answers.pop()
