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
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.control import console
from testbed.control.protocol import (
    NAME_PATTERN,
    control_socket,
)
from testbed.errors import HostError, TestbedError, UsageError
from testbed.guest.bootstrap import KEEPER, prepare
from testbed.guest.kinds import KINDS, preferred
from testbed.guest.launcher import (
    Report,
    require_limits,
    require_unused,
    watch_leash,
)
from testbed.guest.machine import Machine

if TYPE_CHECKING:
    from testbed.guest.base import Boot, Guest
    from testbed.guest.wires import Wire

ACCELERATED_DEADLINE_S = 15.0


async def boot(guest: Guest, what: Boot, report: Report, deadline: float) -> Machine:
    """Boot, and return the machine whose keeper answers.

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


async def _boot_once(guest: Guest, what: Boot, report: Report, seconds: float) -> Machine:
    started = time.monotonic()
    machine = Machine(guest.start(what), what.name)
    loop = asyncio.get_running_loop()
    cancelled = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, cancelled.set)
    report.watch(cancelled.set)
    await machine.attach()
    tasks = {
        name: asyncio.create_task(waiting)
        for name, waiting in (
            ("ready", machine.hello()),
            ("ended", machine.ended.wait()),
            ("cancelled", cancelled.wait()),
        )
    }
    awake = asyncio.create_task(_announce(machine, report, started))
    try:
        await asyncio.wait(tasks.values(), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if tasks["ready"].done() and not tasks["ready"].exception():
            await machine.listen()
            loop.add_signal_handler(signal.SIGTERM, machine.stop)
            total = round(1000 * (time.monotonic() - started))
            kernel = awake.result() if awake.done() else total
            timings = {"kernel": kernel, "keeper": total - kernel}
            report.send(ready=True, timings=timings, guest=guest.name, accelerated=what.accelerate)
            report.close()
            watch_leash(machine.abandon)
            return machine
        raise _why(tasks, machine, seconds)  # noqa: TRY301  the same clean-up as for any other error
    except BaseException:
        machine.close()
        raise
    finally:
        for task in (*tasks.values(), awake):
            task.cancel()


def _why(tasks: dict[str, asyncio.Task[Any]], machine: Machine, seconds: float) -> BootError:
    console = machine.console_tail()
    if tasks["cancelled"].done():
        machine.stopping = True
        return BootError("the boot of the micro VM was cancelled", "", final=True)
    if tasks["ended"].done() or tasks["ready"].done():
        return BootError(f"the micro VM ended while it booted: {machine.cause()}", console)
    what = "its keeper does not answer" if machine.awake.is_set() else "its kernel is not up"
    return BootError(f"the micro VM did not come up in {seconds:.0f} s: {what}", console, late=True)


async def _announce(machine: Machine, report: Report, started: float) -> int:
    await machine.awake.wait()
    report.send(progress="the micro VM is up, starting the keeper")
    return round(1000 * (time.monotonic() - started))


async def serve(guest: Guest, what: Boot, report: Report, deadline: float) -> int:
    """Run a guest from boot to end; return the exit status."""
    try:
        machine = await boot(guest, what, report, deadline)
    except TestbedError as error:
        report.send(error=error.to_json())
        report.close()
        return error.exit_code
    await machine.ended.wait()
    machine.close()
    await machine.finish()
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
