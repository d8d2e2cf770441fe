"""A guest that runs: its control port, its console, and the connections to its keeper."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import struct
import time
from typing import TYPE_CHECKING

from testbed.control import console
from testbed.control.protocol import (
    HEADER,
    Frame,
    control_socket,
    pack_message,
    peer,
    testbed_directory,
)
from testbed.errors import HostError, TestbedError, UsageError
from testbed.guest.calendar import Calendar, patience_s
from testbed.guest.carrying import BLOCK, copy, first
from testbed.guest.launcher import bind, withdraw
from testbed.guest.mux import Mux, streams
from testbed.guest.stopping import StopWatcher
from testbed.guest.uml_time import SOCKET
from testbed.keeper.registration import Registration

if TYPE_CHECKING:
    from testbed.guest.base import Running, VirtualTime

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


class Machine:
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
        hint = "it was ended; TESTBED_SPIN_TIMEOUT=SECONDS at `up` gives it more patience"
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
