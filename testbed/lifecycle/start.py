"""Starting and ending testbeds on this host."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from testbed.control import console
from testbed.control.protocol import NAME_PATTERN, testbed_directory
from testbed.control.registry import alive, locked, owner, sweep
from testbed.errors import HostError, UsageError, error_from_json
from testbed.kernel import features, host_interfaces
from testbed.kernel.trials import UNTRIED
from testbed.plan.model import Plan

STOP_TIMEOUT_S = 10.0
VM_CHOICES = ("auto", "always", "never", "uml", "qemu")


# Standard inputs of keepers, open until their first `apply` is over or this process ends.
_leashes: dict[str, IO[bytes]] = {}


def ensure_running(
    name: str, *, vm: str = "auto", plan: Plan, on_progress: Callable[[str], None] = lambda _: None
) -> bool:
    """Start the testbed's keeper, natively or in a micro VM, unless it runs already.

    Returns whether it was started here.

    `vm` is ``auto`` (a micro VM where the kernel lacks what the plan needs, or
    gives an ordinary user no namespaces),
    ``always``, ``never``, or the kind of micro VM to use: ``uml`` or ``qemu``.
    Raises HostError when the host cannot.
    """
    if not NAME_PATTERN.fullmatch(name):
        hint = "lower-case letters, digits and inner hyphens, at most 32 characters"
        raise UsageError(f"bad testbed name {name!r}", hint=hint)
    with locked(name):
        if alive(name):
            return False
        directory = testbed_directory(name)
        console.forget(name)
        try:
            words = _choose(vm, plan, on_progress)
            _start(words, name, directory, on_progress)
        except BaseException:
            console.clear(name)
            raise
    return True


def _choose(vm: str, plan: Plan, on_progress: Callable[[str], None]) -> list[str]:
    """The module that runs the keeper, and its options: here, or a micro VM's relay."""
    if vm not in VM_CHOICES:
        raise UsageError(f"--vm {vm!r} is not one of {', '.join(VM_CHOICES)}")
    if plan.time == "virtual":
        return _virtual(vm, plan)
    if vm == "always":
        return _relay(plan)
    if vm not in {"auto", "never"}:
        return _relay(plan, vm)
    lacking = features.lacking(plan)
    if not lacking:
        return ["testbed.keeper"]
    if vm == "never":
        hint = "use --vm auto to run in a micro VM; `testbed doctor` says what is missing"
        raise HostError(_obstacle(lacking), hint=hint)
    on_progress(f"{_obstacle(lacking)}: using a micro VM")
    return _relay(plan)


def _obstacle(lacking: list[features.Feature]) -> str:
    """What keeps a plan from running in this kernel."""
    words = []
    if refused := next((f.error for f in lacking if f.name == "namespaces"), None):
        words.append(f"gives us no namespaces ({refused})")
    known = (f.name for f in lacking if f.name != "namespaces" and f.error != UNTRIED)
    if names := ", ".join(known):
        words.append(f"lacks {names}")
    return f"this kernel {' and '.join(words)}"


def _virtual(vm: str, plan: Plan) -> list[str]:
    """The relay of a guest that skips idle time: only a user-mode kernel does."""
    from testbed.guest import uml_kernels  # noqa: PLC0415

    if vm in {"never", "qemu"}:
        where = "this machine's own kernel" if vm == "never" else "QEMU"
        hint = "use --vm uml or --vm auto, or real time"
        raise UsageError(f"{where} cannot skip time (--vm {vm})", hint=hint)
    if attached := list(host_interfaces.of(plan)):
        hint = "remove the host interface from the topology, or use real time"
        raise UsageError(f"the real machine at {attached[0]} cannot skip time", hint=hint)
    kernel = uml_kernels.find(features.required(plan), virtual_time=True)
    if kernel is None:
        hint = "build one: testbed kernel build"
        raise HostError("virtual time needs a user-mode kernel with time travel", hint=hint)
    words = ["testbed.guest.relay", "--guest", "uml", "--kernel", str(kernel.path)]
    return [*words, "--virtual-time", str(plan.seed)]


def _relay(plan: Plan, kind: str | None = None) -> list[str]:
    """The relay of a guest: of that kind, or of the fastest that has what the plan needs."""
    from testbed.guest import uml_kernels  # noqa: PLC0415  not needed where the kernel has it all
    from testbed.guest.kinds import preferred  # noqa: PLC0415

    needed = features.required(plan)
    kind = kind or preferred(needed).name
    words = ["testbed.guest.relay", "--guest", kind]
    if kind == "uml" and (kernel := uml_kernels.find(needed)) is not None:
        words += ["--kernel", str(kernel.path)]
    return words + [word for name in host_interfaces.of(plan) for word in ("--attach", name)]


def _start(
    words: list[str], name: str, directory: Path, on_progress: Callable[[str], None]
) -> None:
    """Start the keeper or relay and wait until it says that it is ready."""
    with (directory / "start.log").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", *words, name, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            close_fds=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    _leashes[name] = process.stdin
    with process.stdout as lines:
        for line in lines:
            message = json.loads(line)
            if "progress" in message:
                on_progress(message["progress"])
            elif "error" in message:
                raise error_from_json(message["error"])
            elif message.get("ready"):
                return
    tail = (directory / "start.log").read_text(errors="replace")[-2000:].strip()
    raise HostError("the testbed's keeper ended while it started", hint=tail or None)


def let_go(name: str) -> None:
    """Let the testbed's keeper end if its first `apply` has not come through, live on if it has."""
    if leash := _leashes.pop(name, None):
        leash.close()


def end(name: str, ask: Callable[[], None]) -> None:
    """End a testbed: `ask` it to stop, kill it when that fails, wait until it is gone."""
    with _holder(name) as keeper:
        if keeper is not None:
            try:
                ask()
            except Exception:  # noqa: BLE001 - whatever keeps it from answering, it has to go
                _kill(keeper)
            _wait_gone(keeper)
    sweep()


def kill(name: str) -> None:
    """End a testbed without asking, and wait until it is gone."""
    with _holder(name) as keeper:
        if keeper is not None:
            _kill(keeper)
            _wait_gone(keeper)
    sweep()


def forget(name: str) -> bool:
    """Remove what is kept of a testbed whose micro VM died; whether there was anything."""
    if alive(name) or console.ended(name) is None:
        return False
    with locked(name) as held:
        if held and not alive(name):
            console.forget(name)
    sweep()
    return True


@contextlib.contextmanager
def _holder(name: str) -> Iterator[int | None]:
    """A descriptor of the process that holds the testbed; None: nobody.

    Its number would not do: it is another's once the process has ended.
    """
    descriptor = None
    pid = owner(name)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
    try:
        yield descriptor if owner(name) == pid else None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _kill(keeper: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(keeper, signal.SIGKILL)


def _wait_gone(keeper: int) -> None:
    """Wait until the process has ended; SIGKILL when it takes too long."""
    poll = select.poll()
    poll.register(keeper, select.POLLIN)
    if not poll.poll(STOP_TIMEOUT_S * 1000):
        _kill(keeper)
        poll.poll(STOP_TIMEOUT_S * 1000)
