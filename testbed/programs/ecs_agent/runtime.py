"""Runs containers and commands for the agent, as the first process of a PID namespace.

The agent has threads and so cannot fork; this process has none. When the agent ends, so does
this process, and with it all that it has started: an instance that is stopped leaves nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

from testbed.programs.container import program
from testbed.programs.container.bundle import UserError
from testbed.programs.container.images import ImageError

CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18
LONGEST = 128 * 1024
NAMESPACES = "/run/netns"
PULL, START = "CannotPullContainerError", "CannotStartContainerError"  # AWS: stopped tasks

_libc = ctypes.CDLL(None, use_errno=True)


def begin(resolv_conf: str) -> socket.socket:
    """Start the process; the socket to it. Call it before there are threads."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if child := os.fork():
        theirs.close()
        os.waitpid(child, 0)
        return ours
    status = 1
    try:  # a process whose children are in another PID namespace can have no threads
        ours.close()
        _check(_libc.unshare(CLONE_NEWPID), "a PID namespace")
        if os.fork():
            os._exit(0)
        _own_mounts(resolv_conf)
        Runtime(theirs).run()
        status = 0
    finally:
        os._exit(status)


def own_resolver(resolv_conf: str) -> None:
    """Have this process ask the instance's DNS server, in a mount namespace of its own."""
    _check(_libc.unshare(CLONE_NEWNS), "a mount namespace")
    _mount("none", "/", "", MS_REC | MS_PRIVATE)
    if Path(resolv_conf).exists() and Path("/etc/resolv.conf").exists():
        _mount(resolv_conf, "/etc/resolv.conf", "", MS_BIND)


def _own_mounts(resolv_conf: str) -> None:
    own_resolver(resolv_conf)
    _mount("proc", "/proc", "proc", 0)
    Path(NAMESPACES).mkdir(parents=True, exist_ok=True)
    _mount("tmpfs", NAMESPACES, "tmpfs", 0)  # where `ip netns` keeps its own


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), flags, None)
    _check(result, f"mounting {target}")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


class Runtime:
    """What has been started, by the keys that the agent gives."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._keys: dict[int, str] = {}

    def run(self) -> None:
        """Serve the agent until it has gone."""
        watched: list[Any] = [self._control]
        wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            ready, _, _ = select.select([*watched, wake], [], [])
            if wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake, 4096)
            self._reap()
            if self._control in ready:
                message = self._control.recv(LONGEST)
                if not message:
                    return
                self._handle(json.loads(message))

    def _handle(self, request: dict[str, Any]) -> None:
        if "run" in request:
            pid = os.fork()
            if not pid:
                self._become(request)
            self._keys[pid] = request["run"]
        elif "signal" in request:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(Path(request["pid_file"]).read_text()), request["signal"])
        else:
            error = ""
            for argv in request["commands"]:
                done = subprocess.run(
                    argv["argv"], input=argv.get("input", ""), capture_output=True, text=True,
                    check=False,
                )  # fmt: skip
                if done.returncode and not argv.get("may_fail"):
                    error = f"{argv['argv'][0]}: {done.stderr.strip() or done.returncode}"
                    break
            self._tell({"done": request["key"], "error": error})

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                key = self._keys.pop(found[0], None)
                if key is not None:
                    code = os.waitstatus_to_exitcode(found[1])
                    self._tell({"ended": key, "code": code if code >= 0 else 128 - code})

    def _tell(self, message: dict[str, Any]) -> None:
        self._control.send(json.dumps(message).encode())

    @staticmethod
    def _become(request: dict[str, Any]) -> NoReturn:
        """Become the container; it then has the log as its output."""
        status = program.FAILED
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            for descriptor in (1, 2):
                os.dup2(log, descriptor)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1) for n in (1, 2))
            words = program.prepare(request["task"])
            os.execv(words[0], words)  # noqa: S606
        except ImageError as error:
            Path(request["failure"]).write_text(f"{PULL}: {error}")
        except (UserError, OSError) as error:
            Path(request["failure"]).write_text(f"{START}: {error}")
        finally:
            os._exit(status)
