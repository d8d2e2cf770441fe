"""`testbed-users`: what users of services do: constant requests, each counted with its answer.

``testbed-users TASK`` takes a JSON object: ``every`` and ``timeout`` in seconds, and ``users``,
each an object with ``url``: ``http://HOST[:PORT][/PATH]``, ``tcp://HOST:PORT`` (a connection is
accepted), ``udp://HOST:PORT`` (a datagram is answered), or with ``command``, a list of words: a
program that has to end with status 0. A HOST may be a name: it is resolved for each request.

A user asks again ``every`` so many seconds, but not before it has its answer, as people and most
programs do. A line ``mark`` on standard input begins a new phase; ``report`` prints a line of
JSON: for each user its phases, each with ``sent``, ``failed``, ``reasons`` (how many requests
failed for which), ``gap_s`` (the longest time from an answer, or the phase's beginning, to the
next, with failures between; null while it lasts), ``first`` and ``last`` (the first and last
failure, in seconds since the phase began) and ``median_ms``.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

KEPT = 10_000  # times of answers in a phase, of which the median is taken
ERRNO = {101: "no route", 104: "connection reset", 111: "connection refused", 113: "unreachable"}
SHOWN = 120  # characters of what a command says


class FailedError(Exception):
    """A request that has no good answer: why."""


class Phase:
    """What a user saw between two marks."""

    def __init__(self, began: float) -> None:
        self.began = self.answered = began
        self.sent = self.failed = 0
        self.reasons: dict[str, int] = {}
        self.gap = 0.0
        self.failing = False
        self.first: float | None = None
        self.last: float | None = None
        self.times: list[float] = []

    def add(self, began: float, ended: float, reason: str | None) -> None:
        """Count a request."""
        self.sent += 1
        if reason is not None:
            self.failed += 1
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
            self.first = began - self.began if self.first is None else self.first
            self.last = began - self.began
            self.failing = True
            return
        if self.failing:
            self.gap = max(self.gap, ended - self.answered)
            self.failing = False
        self.answered = ended
        if len(self.times) < KEPT:
            self.times.append(ended - began)

    def to_json(self) -> dict[str, Any]:
        """What `report` says of it."""
        median = round(statistics.median(self.times) * 1000, 1) if self.times else None
        return {
            "sent": self.sent,
            "failed": self.failed,
            "reasons": self.reasons,
            "gap_s": None if self.failing else round(self.gap, 3),
            "first": self.first,
            "last": self.last,
            "median_ms": median,
        }


class User(threading.Thread):
    """One user, who sends one request after the other."""

    def __init__(self, user: dict[str, Any], every: float, timeout: float) -> None:
        super().__init__(daemon=True)
        self.every, self.timeout = every, timeout
        self.command: list[str] = user.get("command") or []
        self.url = urlsplit(user.get("url", ""))
        self.lock = threading.Lock()
        self.phases = [Phase(time.monotonic())]

    def run(self) -> None:
        """Ask, count, wait, for ever."""
        due = time.monotonic()
        while True:
            phase, began = self.phases[-1], time.monotonic()
            reason = self.ask()
            with self.lock:
                phase.add(began, time.monotonic(), reason)
            due = max(due + self.every, time.monotonic())
            time.sleep(max(due - time.monotonic(), 0))

    def ask(self) -> str | None:
        """Send one request; why it failed, None where it did not."""
        try:
            if self.command:
                self._run()
            elif self.url.scheme == "http":
                self._get()
            else:
                self._connect()
        except FailedError as error:
            return str(error)
        except TimeoutError:
            return "no answer"
        except socket.gaierror:
            return "name not resolved"
        except OSError as error:
            return ERRNO.get(error.errno or 0) or error.strerror or type(error).__name__
        except http.client.HTTPException as error:
            return f"no valid HTTP: {type(error).__name__}"
        return None

    def _get(self) -> None:
        host, path = self.url.hostname or "", self.url.path or "/"
        path += f"?{self.url.query}" if self.url.query else ""
        connection = http.client.HTTPConnection(host, self.url.port or 80, timeout=self.timeout)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise FailedError(f"HTTP {answer.status}")

    def _connect(self) -> None:
        kind = socket.SOCK_DGRAM if self.url.scheme == "udp" else socket.SOCK_STREAM
        where = socket.getaddrinfo(self.url.hostname, self.url.port, type=kind)[0]
        with socket.socket(where[0], kind) as sock:
            sock.settimeout(self.timeout)
            sock.connect(where[4])
            if kind == socket.SOCK_DGRAM:
                sock.send(b"testbed")
                sock.recv(2000)

    def _run(self) -> None:
        try:
            done = subprocess.run(
                self.command,
                check=False,
                capture_output=True,
                timeout=self.timeout,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise FailedError("no answer") from None
        if done.returncode:
            said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
            raise FailedError((said or [f"exit code {done.returncode}"])[-1][:SHOWN])

    def mark(self) -> None:
        """Begin a new phase; a request under way is of the one that it began in."""
        with self.lock:
            self.phases.append(Phase(time.monotonic()))

    def report(self) -> list[dict[str, Any]]:
        """What it saw, phase by phase."""
        with self.lock:
            return [phase.to_json() for phase in self.phases]


def main(argv: list[str]) -> None:
    """`testbed-users TASK`."""
    (text,) = argv
    task = json.loads(text)
    users = [User(user, task["every"], task["timeout"]) for user in task["users"]]
    for user in users:
        user.start()
    while words := os.read(0, 4096).split():
        for word in words:
            if word == b"mark":
                for user in users:
                    user.mark()
                say({"marked": len(users[0].phases)})
            elif word == b"report":
                say({"report": [user.report() for user in users]})
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.close()
    os._exit(0)  # requests may be under way for long


def say(message: dict[str, Any]) -> None:
    """Print a message."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
