"""The host's end of a guest: its parent process, and the owner of the control socket.

``python -m testbed.guest.relay NAME`` boots a guest and offers its keeper at
`control_socket(NAME)` once that answers. It says on its output, a JSON object
a line: ``{"progress": text}``, then ``{"ready": true, "timings": {phase: ms}}``
or ``{"error": {"message", "hint", "exit_code"}}``, and closes it. It lives as
long as the guest, and the guest as long as it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import struct
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.control import console
from testbed.control.protocol import (
    HEADER,
    NAME_PATTERN,
    Frame,
    control_socket,
    pack_message,
    peer,
    testbed_directory,
)
from testbed.errors import HostError, TestbedError, UsageError
from testbed.guest.bootstrap import KEEPER, prepare
from testbed.guest.calendar import Calendar, patience_s
from testbed.guest.carrying import BLOCK, copy, first
from testbed.guest.kinds import KINDS, preferred
from testbed.guest.launcher import (
    Report,
    bind,
    require_limits,
    require_unused,
    watch_leash,
    withdraw,
)
from testbed.guest.mux import Mux, streams
from testbed.guest.stopping import StopWatcher
from testbed.guest.uml_time import SOCKET
from testbed.keeper.registration import Registration

if TYPE_CHECKING:
    from testbed.guest.base import Boot, Guest, Running, VirtualTime
    from testbed.guest.wires import Wire

CONSOLE_TAIL = 64 * 1024
CONSOLE_LINES = 15
# What a kernel's panic has besides its reason: registers, stack, addresses.
PANIC_DETAIL = re.compile(
    r"^\[ *\d+\.\d+\] +("
    r"\[<|[0-9a-f]{8,16}[ :]|\? |RIP|R[A-Z0-9]{2}:|Code:|CR2:|FS:|CS:|PKRU:|Call |Stack|CPU:|"
    r"Hardware name|Modules linked|<TASK>|</TASK>|Kernel Offset|---\[|\w+\+0x[0-9a-f]+/0x)"
)
PANIC = re.compile(r"Kernel panic - not syncing: (.*)")
USER = os.geteuid()
EXIT_DEADLINE_S = 5.0
ACCELERATED_DEADLINE_S = 15.0


class Relay:
    """One boot of a guest, and the connections to its keeper."""

    def __init__(self, running: Running, name: str) -> None:
        self.name = name
        self.running = running
        self.ended = asyncio.Event()
        self.stopping = False
        self.awake = asyncio.Event()
        self.gone = asyncio.Event()
        self._console = bytearray()
        self._log = console.ConsoleLog(name)
        pace = None if running.time else running.pace
        self._mux = Mux(clock=self._tell_time, lost=lambda _: self.ended.set(), pace=pace)
        self._port: asyncio.Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pidfds: list[int] = []
        self._server: asyncio.Server | None = None
        self._giving_time: asyncio.Task[None] | None = None
        self.reason: HostError | None = None  # why it was ended

    async def attach(self) -> None:
        """Take up the guest's control port and console, and watch its processes."""
        loop = asyncio.get_running_loop()
        for pid in self.running.pids():
            descriptor = os.pidfd_open(pid)
            self._pidfds.append(descriptor)
            loop.add_reader(descriptor, self.ended.set)
        self.running.console.setblocking(False)
        loop.add_reader(self.running.console, self._read_console)
        if self.running.time is not None:
            await self._give_time(self.running.time)
        self._port, _ = await loop.create_unix_connection(
            lambda: self._mux, sock=self.running.control
        )

    async def _give_time(self, virtual: VirtualTime) -> None:
        """Become the guest's calendar as soon as its kernel asks for one."""
        loop = asyncio.get_running_loop()
        calendar = Calendar(
            virtual.inbox,
            virtual.doorbell,
            patience_s=patience_s(),
            heard=lambda: self._mux.received,
            stuck=self._stuck,
        )
        self._mux.heard = calendar.listen
        self._mux.use_writer(calendar.writer)
        virtual.listener.setblocking(False)

        async def serve() -> None:
            connection, _ = await loop.sock_accept(virtual.listener)
            (testbed_directory(self.name) / SOCKET).unlink(missing_ok=True)
            await loop.create_unix_connection(lambda: calendar, sock=connection)

        self._giving_time = loop.create_task(serve())

    def _stuck(self) -> None:
        """End a guest in which no time passes: nothing else would ever happen in it."""
        seconds = f"{patience_s():g} s"
        text = f"in testbed {self.name} no virtual time passed for {seconds}: a program in it spins"
        hint = "it was stopped; to wait longer, set TESTBED_SPIN_TIMEOUT=SECONDS for `up`"
        self.reason = HostError(text, hint=hint)
        self.ended.set()

    def close(self) -> None:
        """End the guest and every connection; again, it does nothing."""
        if self.gone.is_set():
            return
        self._keep_or_forget()
        self.gone.set()
        loop = asyncio.get_running_loop()
        for descriptor in self._pidfds:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self._pidfds.clear()
        if self._giving_time is not None:
            self._giving_time.cancel()
        self._read_console()
        loop.remove_reader(self.running.console)
        if self._port is not None:  # the next guest's port may get its number
            self._port.abort()
        self.running.kill()
        if self._server is not None:
            self._server.close()
        withdraw(control_socket(self.name))

    def _keep_or_forget(self) -> None:
        """Keep the console of a guest that died; forget that of one that ended as it should."""
        if self.stopping or self._mux.farewell:
            console.forget(self.name)
        elif self._server is not None:
            console.record(self.name, self.cause(), self.console_tail())

    def cause(self) -> str:
        """Say why the guest has ended, as a clause."""
        if self.reason is not None:
            return self.reason.message.partition(f"in testbed {self.name} ")[2]
        fate = self.running.fate()
        self._read_console()
        if panic := PANIC.findall(self._console.decode(errors="replace").replace("\r", "")):
            return f"its kernel panicked: {panic[-1].strip()}"
        return fate

    async def finish(self) -> None:
        """Let the connections hear that the guest is gone."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)

    def console_tail(self) -> str:
        """Return the last telling lines that the guest's kernel or its emulator wrote."""
        self._read_console()
        lines = self._console.decode(errors="replace").replace("\r", "").split("\n")
        telling = [line for line in lines if line.strip() and not PANIC_DETAIL.match(line)]
        return "\n".join(telling[-CONSOLE_LINES:])

    def _read_console(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while data := self.running.console.recv(BLOCK):
                self._console += data
                self._log.write(data)
                del self._console[:-CONSOLE_TAIL]
            asyncio.get_running_loop().remove_reader(self.running.console)

    def stop(self) -> None:
        """End the guest because somebody wants it."""
        self.stopping = True
        self.ended.set()

    def abandon(self) -> None:
        """Tell the keeper that the launcher is gone; it ends unless it has work."""
        self._mux.send_abandon()

    def _tell_time(self, _: bytes) -> None:
        self.awake.set()
        if self.running.time is None:
            self._mux.send_clock(struct.pack("!d", time.time()))

    async def hello(self) -> None:
        """Wait until the keeper answers.

        Nothing is sent before the guest has spoken: until then its port may be
        a terminal that echoes.
        """
        await self.awake.wait()
        reader, writer = streams(self._mux.open())
        writer.write(pack_message({"op": "hello"}))
        kind, length = HEADER.unpack(await reader.readexactly(HEADER.size))
        answer = json.loads(await reader.readexactly(length))
        writer.close()
        if kind != Frame.MESSAGE or "result" not in answer:
            raise HostError(f"the keeper in the micro VM refuses to work: {answer}")

    async def listen(self) -> None:
        """Offer the keeper at the control socket."""
        listener = bind(control_socket(self.name))
        Registration(testbed_directory(self.name)).watch(self.stop)
        self._server = await asyncio.start_unix_server(self._connected, sock=listener)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        # Who only looks whether someone is there does not get as far as the guest.
        try:
            began = await first(reader) if peer(writer.get_extra_info("socket"))[1] == USER else b""
        except UsageError as error:
            await _refuse(writer, error)
            return
        if self.ended.is_set():  # it came too late
            await self.gone.wait()
            began = b""
        if not began:
            writer.close()
            return
        far_reader, far_writer = streams(self._mux.open())
        watcher = StopWatcher()
        far_writer.write(watcher.request(began))
        outgoing = asyncio.create_task(copy(reader, far_writer, watcher.request))
        outgoing.add_done_callback(lambda _: far_writer.close())
        try:
            await copy(far_reader, writer, watcher.answer)
            if self.ended.is_set():  # who hears of it is to find what is kept of the guest
                await self.gone.wait()
            if watcher.held:
                asyncio.get_running_loop().call_later(EXIT_DEADLINE_S, self.stop)
                await self.gone.wait()
                with contextlib.suppress(ConnectionError):
                    writer.write(watcher.held)
                    await writer.drain()
            elif self.reason is not None:
                await _refuse(writer, self.reason)
        finally:
            outgoing.cancel()
            far_writer.close()
            writer.close()


async def _refuse(writer: asyncio.StreamWriter, error: TestbedError) -> None:
    with contextlib.suppress(ConnectionError):
        writer.write(pack_message({"error": error.to_json()}))
        await writer.drain()
    writer.close()


async def boot(guest: Guest, what: Boot, report: Report, deadline: float) -> Relay:
    """Boot, and return the relay of a guest whose keeper answers.

    Falls back to emulation where an accelerated guest does not come up. The last way is
    tried once more where nothing came of it: a machine may stand still, or an emulator hang.
    """
    ways = guest.attempts(accelerate=what.accelerate)
    for number, way in enumerate([*ways, ways[-1]], 1):
        accelerate, how = way
        others = number < len(ways)
        seconds = min(deadline, ACCELERATED_DEADLINE_S) if others else deadline
        report.send(progress=f"booting a micro VM ({guest.name}, {how})")
        try:
            return await _boot_once(guest, replace(what, accelerate=accelerate), report, seconds)
        except BootError as error:
            if error.final:
                raise
            if not others and (number > len(ways) or not error.late):
                console.record(what.name, error.reason, error.console)
                raise
            why = error.message.splitlines()[0]
            report.send(progress=f"not {how}: {why}" if others else f"once more: {why}")
    raise AssertionError("the last attempt returns or raises")


class BootError(HostError):
    """The guest did not come up; `late` where it may do so another time, `final` where not."""

    def __init__(
        self, message: str, console: str, *, late: bool = False, final: bool = False
    ) -> None:
        text = f"{message}; its console's last lines:\n{console}" if console else message
        super().__init__(text, hint="testbed doctor")
        self.reason = message.removeprefix("the micro VM ")
        self.console = console
        self.late = late
        self.final = final


async def _boot_once(guest: Guest, what: Boot, report: Report, seconds: float) -> Relay:
    started = time.monotonic()
    relay = Relay(guest.start(what), what.name)
    loop = asyncio.get_running_loop()
    cancelled = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, cancelled.set)
    report.watch(cancelled.set)
    await relay.attach()
    tasks = {
        name: asyncio.create_task(waiting)
        for name, waiting in (
            ("ready", relay.hello()),
            ("ended", relay.ended.wait()),
            ("cancelled", cancelled.wait()),
        )
    }
    awake = asyncio.create_task(_announce(relay, report, started))
    try:
        await asyncio.wait(tasks.values(), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if tasks["ready"].done() and not tasks["ready"].exception():
            await relay.listen()
            loop.add_signal_handler(signal.SIGTERM, relay.stop)
            total = round(1000 * (time.monotonic() - started))
            kernel = awake.result() if awake.done() else total
            timings = {"kernel": kernel, "keeper": total - kernel}
            report.send(ready=True, timings=timings, guest=guest.name, accelerated=what.accelerate)
            report.close()
            watch_leash(relay.abandon)
            return relay
        raise _why(tasks, relay, seconds)  # noqa: TRY301  the same clean-up as for any other error
    except BaseException:
        relay.close()
        raise
    finally:
        for task in (*tasks.values(), awake):
            task.cancel()


def _why(tasks: dict[str, asyncio.Task[Any]], relay: Relay, seconds: float) -> BootError:
    console = relay.console_tail()
    if tasks["cancelled"].done():
        relay.stopping = True
        return BootError("the boot of the micro VM was cancelled", "", final=True)
    if tasks["ended"].done() or tasks["ready"].done():
        return BootError(f"the micro VM ended while it booted: {relay.cause()}", console)
    what = "its keeper does not answer" if relay.awake.is_set() else "its kernel is not up"
    return BootError(f"the micro VM did not come up in {seconds:.0f} s: {what}", console, late=True)


async def _announce(relay: Relay, report: Report, started: float) -> int:
    await relay.awake.wait()
    report.send(progress="the micro VM is up, starting the keeper")
    return round(1000 * (time.monotonic() - started))


async def serve(guest: Guest, what: Boot, report: Report, deadline: float) -> int:
    """Run a guest from boot to end; return the exit status."""
    try:
        relay = await boot(guest, what, report, deadline)
    except TestbedError as error:
        report.send(error=error.to_json())
        report.close()
        return error.exit_code
    await relay.ended.wait()
    relay.close()
    await relay.finish()
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the relay's command line."""
    result = argparse.ArgumentParser(prog="testbed.guest.relay", description=__doc__)
    result.add_argument("name")
    result.add_argument("directory", nargs="?", help="the testbed's, which its name implies")
    result.add_argument("--guest", choices=sorted(KINDS), default=None)
    result.add_argument("--memory-mb", type=int, default=2048)
    result.add_argument("--processors", type=int, default=min(2, os.cpu_count() or 1))
    result.add_argument("--deadline-s", type=float, default=60.0)
    result.add_argument(
        "--attach", action="append", default=[], metavar="NAME", help="a host interface to attach"
    )
    result.add_argument("--emulate", action="store_true", help="do not use KVM")
    result.add_argument("--kernel", type=Path, help="another kernel, with the same modules")
    result.add_argument("--virtual-time", type=int, metavar="SEED", help="skip idle time")
    result.add_argument("--keeper", default=KEEPER, help="module:class that serves connections")
    return result


def main() -> int:
    """Run the relay."""
    arguments = parser().parse_args()
    with contextlib.suppress(OSError):
        os.setsid()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    report = Report(1)
    guest = KINDS[arguments.guest]() if arguments.guest else preferred()
    try:
        what = requested(arguments, guest)
    except TestbedError as error:
        report.send(error=error.to_json())
        return error.exit_code
    os.chdir("/")
    return asyncio.run(serve(guest, what, report, arguments.deadline_s))


def _wires(names: list[str]) -> tuple[Wire, ...]:
    if not names:
        return ()
    from testbed.guest.wires import connect  # noqa: PLC0415  netlink, which few need here

    return tuple(connect(names))


def requested(arguments: argparse.Namespace, guest: Guest) -> Boot:
    """Return the boot that the command line asks for; raises UsageError, HostError."""
    name = arguments.name
    if not NAME_PATTERN.fullmatch(name):
        raise UsageError(f"{name!r} is not a testbed's name")
    require_unused(control_socket(name))
    require_limits(arguments.memory_mb)
    wires = _wires(arguments.attach)
    console.forget(name)
    return replace(
        prepare(name, guest, keeper=arguments.keeper, wires=wires, seed=arguments.virtual_time),
        memory_mb=arguments.memory_mb,
        processors=arguments.processors,
        accelerate=not arguments.emulate,
        kernel=arguments.kernel,
    )


if __name__ == "__main__":
    sys.exit(main())
