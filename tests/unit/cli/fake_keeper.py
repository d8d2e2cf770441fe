"""A keeper that builds nothing: it speaks the protocol and runs commands on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import termios
import threading
from typing import TYPE_CHECKING, Any

from testbed.control.protocol import (
    CREDIT,
    HEADER,
    Frame,
    control_socket,
    message_of,
    pack,
    pack_message,
)
from testbed.errors import TestbedError, UsageError
from testbed.keeper import prepared
from testbed.keeper.ledger import Ledger
from testbed.plan import codec
from testbed.plan.patch import applied

if TYPE_CHECKING:
    from collections.abc import Callable

    Reply = Callable[["Channel", dict[str, Any]], dict[str, Any] | None]


class Channel:
    """The keeper's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._sock.sendall(pack_message(message))

    def stream(self, kind: Frame, data: bytes) -> None:
        with self._lock:
            self._sock.sendall(pack(kind, data))

    def receive(self) -> tuple[Frame, bytes] | None:
        header = self._read(HEADER.size)
        if header is None:
            return None
        kind, length = HEADER.unpack(header)
        payload = self._read(length)
        return None if payload is None else (Frame(kind), payload)

    def _read(self, length: int) -> bytes | None:
        data = b""
        while len(data) < length:
            try:
                chunk = self._sock.recv(length - len(data))
            except OSError:
                return None
            if not chunk:
                return None
            data += chunk
        return data


class FakeKeeper:
    """Serves one testbed. `replies` map an operation to what answers it; None ends without."""

    def __init__(self, name: str, plan: dict[str, Any] | None = None) -> None:
        self.name = name
        self.requests: list[dict[str, Any]] = []
        self.signals: list[int] = []
        self.resizes: list[list[int]] = []
        self.stopped = threading.Event()
        self.released = threading.Event()
        self.plan: dict[str, Any] = plan or {"name": name, "nodes": [], "checks": []}
        self.ledger = Ledger()
        self._writing = threading.Lock()
        self.log = b""
        self.replies: dict[str, Reply] = {
            "hello": lambda *_: {
                "name": name,
                "version": "0",
                "protocol": 1,
                "pid": 1,
                "started": 1790000000.0,
                "nodes": len(self.plan["nodes"]),
                "ready": bool(self.plan["nodes"]),
                "revision": self.ledger.revision,
            },
            "plan": lambda *_: self._document({"plan": True}),
            "document": lambda _, request: self._document(request),
            "heal": lambda *_: {"healed": [], "faults": [], "pending": []},
            "status": lambda *_: {"version": 1, "ok": True, "name": name, "faults": []},
            "apply": self._apply,
            "exec": self._exec,
            "logs": self._logs,
            "events": lambda *_: {"events": [], "dropped": 0},
            "observe": lambda *_: {"nodes": {}},
            "stop": self._stop,
        }
        path = control_socket(name)
        path.parent.mkdir(parents=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        control_socket(self.name).unlink(missing_ok=True)
        self.stopped.set()

    def _serve(self) -> None:
        while not self.stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        channel = Channel(sock)
        with sock, contextlib.suppress(OSError):
            frame = channel.receive()
            if frame is None:
                return
            request = message_of(frame[1])
            self.requests.append(request)
            try:
                result = self.replies[request["op"]](channel, request)
                if result is not None:
                    channel.send({"result": result})
                if request.get("hold"):
                    while channel.receive():
                        pass
                    self.released.set()
            except TestbedError as error:
                channel.send({"error": error.to_json()})
        if request["op"] == "stop":
            self.close()

    def _document(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._writing:
            plan = {"plan": self.plan} if request.get("plan") else {}
            return self.ledger.to_json() | plan

    def _apply(self, channel: Channel, request: dict[str, Any]) -> dict[str, Any]:
        with self._writing:
            if request.get("turn"):
                channel.send({"event": "turn", **self.ledger.to_json()})
                frame = channel.receive()
                if frame is None:
                    raise OSError
                request |= message_of(frame[1])
            request |= self.ledger.completed(request)
            plan = self._plan_of(request)
            changed = plan != self.plan
            self.plan = plan
            self.ledger.adopt(request, at=0.0, changed=changed)
        channel.send({"event": "phase", "phase": "apply", "state": "start"})
        channel.send({"event": "phase", "phase": "nodes", "state": "done", "ms": 3.0})
        pending = ["the LAG"] if request["wait"] else []
        channel.send({"event": "waiting", "pending": pending, "done": 0, "total": 1})
        channel.send({"event": "applied"})
        steps = 7 if changed else 0
        result = {"changed": changed, "steps": steps, "revision": self.ledger.revision}
        return result | {"timings": {"nodes": 3.0}, "pending": []}

    def _plan_of(self, request: dict[str, Any]) -> dict[str, Any]:
        if (patch := request.get("patch")) is None:
            whole: dict[str, Any] = request["plan"]
            return whole
        return codec.to_json(applied(codec.from_json(self.plan), patch))

    def _stop(self, *_: Any) -> dict[str, Any]:
        return {}

    def _logs(self, channel: Channel, request: dict[str, Any]) -> dict[str, Any]:
        if request["process"] == "nothing":
            raise UsageError("no process 'nothing'")
        channel.stream(Frame.STDOUT, self.log)
        return {}

    def _exec(self, channel: Channel, request: dict[str, Any]) -> dict[str, Any]:
        if request["node"] == "missing":
            raise UsageError("no node 'missing'", hint="nodes: a")
        terminal = None
        streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        if request["tty"]:
            terminal, side = pty.openpty()
            size = struct.pack("HHHH", request["rows"], request["columns"], 0, 0)
            fcntl.ioctl(side, termios.TIOCSWINSZ, size)
            streams = dict.fromkeys(streams, side)
        argv = request["argv"]
        argv = prepared.words(argv) if prepared.is_program(argv[0]) else argv
        process = subprocess.Popen(
            argv, env=os.environ | request["env"], start_new_session=True, **streams
        )
        if terminal is not None:
            os.close(side)
            outputs = [(terminal, Frame.STDOUT)]
            stdin = os.dup(terminal)
        else:
            assert process.stdin
            assert process.stdout
            assert process.stderr
            outputs = [
                (process.stdout.fileno(), Frame.STDOUT),
                (process.stderr.fileno(), Frame.STDERR),
            ]
            stdin = process.stdin.fileno()
        pumps = [threading.Thread(target=_pump, args=(channel, *output)) for output in outputs]
        for pump in pumps:
            pump.start()
        arguments = (channel, process, stdin, terminal is not None)
        threading.Thread(target=self._inward, args=arguments, daemon=True).start()
        code = process.wait()
        for pump in pumps:
            pump.join()
        return {"returncode": code if code >= 0 else 128 - code}

    def _inward(
        self, channel: Channel, process: subprocess.Popen[bytes], stdin: int, terminal: bool
    ) -> None:
        while frame := channel.receive():
            kind, payload = frame
            if kind is Frame.STDIN and payload:
                with contextlib.suppress(OSError):
                    os.write(stdin, payload)
                with contextlib.suppress(OSError):  # it has just ended
                    channel.stream(Frame.CREDIT, CREDIT.pack(len(payload)))
            elif kind is Frame.STDIN and not terminal and process.stdin:
                process.stdin.close()
            elif kind is Frame.MESSAGE:
                message = json.loads(payload)
                if "signal" in message:
                    self.signals.append(message["signal"])
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, message["signal"])
                if "resize" in message:
                    self.resizes.append(message["resize"])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGHUP)


def _pump(channel: Channel, descriptor: int, kind: Frame) -> None:
    with contextlib.suppress(OSError):
        while data := os.read(descriptor, 65536):
            channel.stream(kind, data)
