"""The programs of a testbed: started in their node's namespace, watched, logged, stopped.

The keeper is the first process of its PID namespace, so every process whose
parent died becomes its child; `reap` collects them all.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from testbed.errors import HostError
from testbed.keeper import bird, frr, inquiries, prepared, unbound, workloads
from testbed.keeper.hosting import PROGRAM as HOST
from testbed.keeper.hosting import Hosted, Hosting
from testbed.keeper.running import Running
from testbed.keeper.views import Views
from testbed.kernel import namespace
from testbed.kernel.packages import PACKAGES
from testbed.plan.model import NODE_DIRECTORY, RESOLV_CONF, ZEBRA, Plan, Process
from testbed.plan.steps import (
    AwaitInterfaces,
    ReloadProcess,
    StartProcess,
    Step,
    StopProcess,
    WriteFile,
)

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/frr"
STOP_TIMEOUT_S = 3.0
SOCKET_TIMEOUT_S = 5.0
SOCKET_POLL_S = 0.002
ALL_SIGNALS = set(range(1, signal.NSIG)) - {signal.SIGKILL, signal.SIGSTOP, 32, 33}


def resolve(argv: Iterable[str]) -> tuple[str, list[str]]:
    """The program's path and its argument vector; HostError when there is no such program."""
    program, *rest = argv
    if prepared.is_program(program):
        return sys.executable, prepared.words([program, *rest])
    path = shutil.which(program, path=SEARCH_PATH)
    if path is None:
        hint = "nodes have the programs of this machine: install it here, or check the spelling"
        if program in PACKAGES:
            hint = f"install the package {PACKAGES[program]}"
        raise HostError(f"program {program!r} not found", hint=hint)
    return path, [program, *rest]


def _answers(path: Path) -> bool:
    """Whether someone listens on the socket; one that a killed process left does not count."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
    return True


def _spawn(
    argv: Sequence[str],
    env: Mapping[str, str],
    stdio: tuple[int, int, int] | str,
    keep: Sequence[int],
) -> int:
    """Start a program where this process is."""
    path, words = resolve(argv)
    for descriptor in keep:
        os.set_inheritable(descriptor, True)
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]]
    if isinstance(stdio, str):
        actions = [(os.POSIX_SPAWN_OPEN, 0, stdio, os.O_RDWR, 0)]
        actions += [(os.POSIX_SPAWN_DUP2, 0, 1), (os.POSIX_SPAWN_DUP2, 0, 2)]
    else:
        actions = [(os.POSIX_SPAWN_DUP2, fd, n) for n, fd in enumerate(stdio)]
    return os.posix_spawn(
        path,
        words,
        env,
        file_actions=actions,
        setsid=True,
        setsigdef=ALL_SIGNALS,
        setsigmask=[],
    )


def _make_directory(path: Path) -> None:
    """Make a node's directory. Daemons that give up root make their sockets in it."""
    if not path.exists():
        path.mkdir(parents=True)
        path.chmod(0o777)


class ProcessTable:
    """All processes of the testbed. `namespace_of` gives a node's namespace descriptor."""

    def __init__(self, namespace_of: Callable[[str], int]) -> None:
        self._namespace_of = namespace_of
        self._by_pid: dict[int, Running] = {}
        self._views = Views()
        self._prepared = prepared.Prepared()
        self._restarts = workloads.Restarts(self._start)
        self._hosting = Hosting(self._begin_hosting)
        self.daemons: dict[tuple[str, str], Running] = {}

    # What `testbed.kernel.apply` calls for its process and file steps.

    def write(self, steps: Sequence[WriteFile]) -> None:
        """Write or remove files of nodes' directories."""
        for step in steps:
            path = Path(NODE_DIRECTORY, step.node, step.file)
            if step.file == RESOLV_CONF:
                self._views.forget([step.node])
            if step.text is None:
                path.unlink(missing_ok=True)
                continue
            _make_directory(path.parent)
            path.write_text(step.text)
            if step.text.startswith("#!"):
                path.chmod(0o755)

    def wait(self, steps: Sequence[AwaitInterfaces]) -> None:
        """Wait until each node's zebra knows the interfaces. If one does not, readiness tells."""
        deadline = time.monotonic() + SOCKET_TIMEOUT_S
        for step in steps:
            path = f"{NODE_DIRECTORY}/{step.node}/{ZEBRA}.vty"
            with contextlib.suppress(frr.FrrError):
                while not frr.knows(path, step.interfaces) and time.monotonic() < deadline:
                    time.sleep(SOCKET_POLL_S)

    def start(self, steps: Sequence[StartProcess | ReloadProcess]) -> None:
        """Start daemons, or make them read their changed files.

        Those that need another one's socket come last, in the plan's order.
        """
        if any(prepared.is_program(workloads.program(step.process)) for step in steps):
            self._prepared.begin()  # it gets ready while others are started
        for step in sorted(steps, key=lambda step: bool(step.process.after)):
            if isinstance(step, ReloadProcess):
                self._reload(step.node, step.process, step.changed)
            else:
                self._start(step.node, step.process)

    def _start(self, node: str, process: Process) -> None:
        directory = Path(NODE_DIRECTORY, node)
        _make_directory(directory)
        self._await_sockets([directory / name for name in process.after])
        log = directory / f"{process.name}.log"
        with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
            stdio = (nothing.fileno(), output.fileno(), output.fileno())
            running: Running | None = None
            if self._hosting.takes(process):
                network = self._namespace_of(node)
                running = self._hosting.start(node, process, network, output.fileno())
            if running is None:
                argv = workloads.words(node, process)
                running = self.spawn(node, argv, name=process.name, stdio=stdio, env=process.env)
        running.log, running.process = log, process
        self.daemons[node, process.name] = running

    def _begin_hosting(self, control: socket.socket) -> int:
        """Start the process that has our programs as threads; its number."""
        log = Path(NODE_DIRECTORY, f"{HOST}.log")
        with log.open("ab") as output:
            stdio = (control.fileno(), output.fileno(), output.fileno())
            pid = self._prepared.start(
                [HOST], {"LANG": "C.UTF-8"}, stdio=stdio, namespaces=(), keep=(), cwd=None
            )
            if pid is None:
                pid = _spawn([HOST], {"LANG": "C.UTF-8"}, stdio, ())
        self._by_pid[pid] = Running(pid, HOST, "", log)
        return pid

    @staticmethod
    def _await_sockets(paths: Iterable[Path]) -> None:
        """Wait until the sockets answer. If one does not, readiness will tell why."""
        deadline = time.monotonic() + SOCKET_TIMEOUT_S
        for path in paths:
            while not _answers(path) and time.monotonic() < deadline:
                time.sleep(SOCKET_POLL_S)

    def _reload(self, node: str, process: Process, changed: Sequence[str]) -> None:
        running = self.daemons.get((node, process.name))
        if running is not None and running.status is None:
            directory = f"{NODE_DIRECTORY}/{node}"
            if process.reload == "bird":
                try:
                    running.refused = bird.configure(f"{directory}/bird.ctl")
                except bird.BirdError:  # it is just starting
                    running.signal(signal.SIGHUP)
                return
            if process.reload == "unbound":
                with contextlib.suppress(unbound.UnboundError):
                    unbound.reload(f"{directory}/{unbound.SOCKET}", changed)
                    return
            if process.reload == "program":
                with contextlib.suppress(inquiries.InquiryError):
                    inquiries.reload(f"{directory}/{process.name}.ctl")
                    return
        self.stop([StopProcess(node, process.name)])
        self._start(node, process)

    def restarts(self, plan: Plan, steps: Iterable[Step]) -> list[Step]:
        """Steps that start anew the plan's daemons that have died and that `steps` leave alone."""
        self.reap()
        dead = {(running.node, running.name) for running in self.dead()}
        if not dead:
            return []
        dead -= {
            (step.node, step.process.name)
            for step in steps
            if isinstance(step, StartProcess | ReloadProcess)
        }
        return [
            StartProcess(node.name, process)
            for node in plan.nodes
            for process in node.processes
            if (node.name, process.name) in dead
        ]

    def stop(self, steps: Sequence[StopProcess]) -> None:
        """Stop daemons side by side: SIGTERM, and SIGKILL to what does not end in time."""
        stopping = [self.daemons.pop((step.node, step.name), None) for step in steps]
        for step in steps:
            self._restarts.forget(step.node, step.name)
        for running in stopping:
            if running is not None:
                running.wanted = False
        alive = [running for running in stopping if running and running.status is None]
        for number, timeout in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, None)):
            for running in alive:
                running.signal(number)
            alive = [running for running in alive if not self._wait(running, timeout)]

    def spawn(
        self,
        node: str,
        argv: Iterable[str],
        *,
        name: str,
        stdio: tuple[int, int, int] | str,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        command: bool = False,
        keep: Sequence[int] = (),
    ) -> Running:
        """Start a program in the node, in a session of its own.

        A `command` of a user's sees the node's own /sys and /etc/resolv.conf.
        `stdio` are the descriptors of its standard streams, or the path of
        the terminal that becomes its controlling one. It inherits the
        descriptors `keep`, under their numbers.
        """
        argv = list(argv)
        base = {"PATH": SEARCH_PATH, "HOME": os.environ.get("HOME", "/root"), "LANG": "C.UTF-8"}
        base |= {key: os.environ[key] for key in ("TESTBED_GUEST",) if key in os.environ}
        env = base | {"TESTBED_NODE": node} | dict(env or {})
        here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            network = self._namespace_of(node)
            pid = None
            if prepared.is_program(argv[0]) and not isinstance(stdio, str):
                pid = self._fork(node, argv, env, stdio, keep, network, command=command, cwd=cwd)
            if pid is None:
                with self._views.inside(node, network) if command else namespace.inside(network):
                    if cwd:
                        os.chdir(cwd)
                    pid = _spawn(argv, env, stdio, keep)
        except OSError as error:
            where = error.filename or argv[0]
            raise HostError(f"cannot start {name} in {node}: {where}: {error.strerror}") from error
        finally:
            os.chdir(here)
            os.close(here)
        running = Running(pid, name, node)
        self._by_pid[pid] = running
        return running

    def _fork(
        self,
        node: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        stdio: tuple[int, int, int],
        keep: Sequence[int],
        network: int,
        *,
        command: bool,
        cwd: str | None,
    ) -> int | None:
        """Start one of the testbed's own programs; None where an interpreter has to be started."""
        namespaces = [network]
        if command:
            namespaces.append(self._views.descriptor(node, network))
            cwd = cwd or "/"
        return self._prepared.start(
            argv, env, stdio=stdio, namespaces=namespaces, keep=keep, cwd=cwd
        )

    def reap(self) -> None:
        """Collect every child that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        running = self._by_pid.pop(pid, None)
        self._hosting.lost(pid, status)
        if running is not None:
            running.status = status
            running.ended.set()
            if running.process is not None and running.wanted:
                lasted = time.monotonic() - running.started
                code = os.waitstatus_to_exitcode(status)
                running.again_s = self._restarts.ended(running.node, running.process, code, lasted)

    def _wait(self, running: Running, timeout: float | None) -> bool:
        """Block until the process has ended or `timeout` seconds are over."""
        if running.status is not None:
            return True
        if isinstance(running, Hosted):
            return self._hosting.wait(running, timeout)
        descriptor = os.pidfd_open(running.pid)
        try:
            poll = select.poll()  # select() knows descriptors up to 1023 only
            poll.register(descriptor, select.POLLIN)
            ended = poll.poll(None if timeout is None else timeout * 1000)
        finally:
            os.close(descriptor)
        if ended:
            with contextlib.suppress(ChildProcessError):
                self._ended(*os.waitpid(running.pid, 0))
        return running.status is not None

    def dead(self) -> list[Running]:
        """The daemons of the plan that have ended by themselves, and should not."""
        ended = [running for running in self.daemons.values() if running.status is not None]
        return [running for running in ended if not running.is_workload]

    def refusing(self) -> list[Running]:
        """The daemons that refused their changed configuration and run on with the old one."""
        return [running for running in self.daemons.values() if running.refused]

    def keep_views(self, nodes: Iterable[str]) -> None:
        """Give up what commands saw in nodes other than these."""
        self._views.keep(nodes)

    def forget(self, nodes: Iterable[str]) -> None:
        """Kill what still runs in nodes that are about to go."""
        gone = set(nodes)
        self._views.forget(gone)
        for node in gone:
            self._restarts.forget(node)
        going = [*self._by_pid.values(), *self._hosting.running.values()]
        going = [running for running in going if running.node in gone]
        for running in going:  # side by side
            running.wanted = False
            running.signal(signal.SIGKILL)
        for running in going:
            self._wait(running, None)
        for key in [key for key in self.daemons if key[0] in gone]:
            del self.daemons[key]
