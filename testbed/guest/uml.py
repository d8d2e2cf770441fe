"""A guest that is an ordinary process: user-mode Linux on the host's own file system.

Its memory is a file of a tmpfs that only the process itself sees, so that
nothing is left of it however it ends.
"""

from __future__ import annotations

import base64
import contextlib
import os
import platform
import resource
import shutil
import socket
import subprocess
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.control.protocol import testbed_directory
from testbed.errors import HostError
from testbed.guest import initramfs, processes, uml_kernels
from testbed.guest.gate import INBOX
from testbed.guest.uml_kernels import UmlKernel
from testbed.guest.uml_time import SOCKET, Setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from testbed.guest.base import Boot, VirtualTime
    from testbed.guest.wires import Wire

CONTROL_PORT = "/dev/ttyS0"
# Where memory is kept without mounts of one's own: only files without a name are made in them.
MEMORY_PLACES = ("/dev/shm", "/tmp", "/var/tmp")  # noqa: S108
BUILD_HINT = (
    "run `testbed kernel build` (some minutes, once): the guest is up in half a second, "
    "and everything in it is ten times faster"
)
COMMAND_LINE_LIMIT = 4000  # arch/um/include/asm/setup.h: COMMAND_LINE_SIZE is 4096
UMID = "guest"  # the name of the directory with its process id
BUFFER = 1024 * 1024
# A terminal holds 4095 bytes. At 128 less it is throttled, and then a user-mode
# kernel (7.2: line_throttle, line_unthrottle) never looks at its input again.
PACE = 3840


@dataclass
class UmlRunning:
    """A running user-mode kernel; its process takes those inside it with it."""

    control: socket.socket
    console: socket.socket
    process: subprocess.Popen[bytes]
    directory: Path
    pace: int | None = PACE
    time: VirtualTime | None = None

    def pids(self) -> list[int]:
        """The kernel's process."""
        return [self.process.pid]

    def fate(self) -> str:
        """Say how it has ended."""
        return processes.fate((self.process, "the user-mode kernel"))

    def kill(self) -> None:
        """End it."""
        processes.stop(self.process)
        self.control.close()
        self.console.close()
        if self.time is not None:
            self.time.close()
        tidy(self.directory)


class UmlGuest:
    """Boots user-mode Linux guests."""

    name = "uml"
    control_port = CONTROL_PORT
    has_modules = False

    def problems(self) -> list[str]:
        """List what this host lacks to run a user-mode guest."""
        if platform.machine() != "x86_64":
            return ["a user-mode kernel needs an x86-64 host"]
        if uml_kernels.find(()) is not None:
            return []
        return ["no user-mode kernel is here that works"]

    def hints(self) -> list[str]:
        """Say what is wrong with each kernel, and how to get one where none has everything."""
        if platform.machine() != "x86_64":
            return []
        complaints = [
            f"{kernel.path} ({kernel.origin}): {'; '.join(wrong)}"
            for kernel in uml_kernels.candidates()
            if (wrong := kernel.complaints())
        ]
        return complaints if uml_kernels.find() else [*complaints, BUILD_HINT]

    def lacking(self, features: Iterable[str] | None) -> list[str]:
        """Return which of the features no kernel here has, or the best one has not."""
        wanted = None if features is None else set(features)
        if uml_kernels.find(wanted) is not None:
            return []
        working = [kernel for kernel in uml_kernels.candidates() if not kernel.problems()]
        return min((kernel.lacking(wanted) for kernel in working), key=len, default=[])

    def accelerated(self) -> bool:
        """Whether it runs on the processor: always."""
        return True

    def attempts(self, *, accelerate: bool) -> list[tuple[bool, str]]:
        """Return the ways to start it, the fastest first: there is one."""
        return [(accelerate, "a kernel as a process")]

    def mounts(self) -> str:
        """Return what process 1 mounts, as an initramfs does elsewhere."""
        table = initramfs.fstab(initramfs.private_directories(), root="")
        if root_options := initramfs.extra_root_options():
            table += f"none / none remount,bind,ro,{root_options} 0 0\n"
        return "dev /dev devtmpfs rw 0 0\nrun /run tmpfs mode=755 0 0\n" + table

    def start(self, boot: Boot) -> UmlRunning:
        """Start it; raises HostError where `problems` has something to say."""
        path = boot.kernel or self._kernel().path
        taps = [wire.tap for wire in boot.wires]
        directory = testbed_directory(boot.name)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        control, control_far = socket.socketpair()
        console, console_far = socket.socketpair()
        for end in (control, control_far):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        with control_far, console_far, contextlib.ExitStack() as stack:
            words = _ports(boot, control_far.fileno(), console_far.fileno())
            descriptors = [control_far.fileno(), console_far.fileno()]
            prepare, time = _prepare(directory, boot.memory_mb), None
            if boot.virtual_time:
                setup = Setup(directory, control_far, console_far)
                stack.callback(setup.close)
                words, descriptors, time = setup.words(), setup.descriptors, setup.host
                prepare = setup.prepare(prepare, boot.parameters)
            try:
                process = processes.start(
                    _arguments(path, boot, words),
                    pass_fds=(*descriptors, *taps),
                    output=console_far.fileno(),
                    prepare=prepare,
                    environment={"TMPDIR": ".", "PATH": "/usr/bin:/bin"},
                )
            except (OSError, subprocess.SubprocessError) as error:
                control.close()
                console.close()
                if time is not None:
                    time.close()
                tidy(directory)
                raise HostError(f"{path} does not start: {error}", hint="testbed doctor") from error
        if time is not None:  # its directory as it sees it
            time.inbox = Path(f"/proc/{process.pid}/root{time.inbox}")
        return UmlRunning(control, console, process, directory, time=time)

    def _kernel(self) -> UmlKernel:
        kernel = uml_kernels.find() or uml_kernels.find(())
        if kernel is None:
            text = "; ".join(self.problems())
            raise HostError(f"the micro VM cannot start: {text}", hint="testbed doctor")
        return kernel


def _ports(boot: Boot, control: int, console: int) -> list[str]:
    return [
        *("con=null", f"con0=null,fd:{console}", "ssl=null", f"ssl0=fd:{control}"),
        f"uml_dir={testbed_directory(boot.name)}/",
    ]


def _arguments(path: Path, boot: Boot, ports: list[str]) -> list[str]:
    code = base64.b64encode(zlib.compress(boot.code.encode(), 9)).decode()
    loader = f"import base64, zlib; exec(zlib.decompress(base64.b64decode('{code}')))"
    arguments = [
        str(path),
        f"mem={boot.memory_mb}M",
        *("rootfstype=hostfs", "rootflags=/", "ro", "seccomp=on"),
        *ports,
        *("quiet", "panic=-1", "noreboot", "random.trust_cpu=on", f"umid={UMID}"),
        *("net.ifnames=0", "bonding.max_bonds=0", "dummy.numdummies=0", "ifb.numifbs=0"),
        *(_device(number, wire) for number, wire in enumerate(boot.wires)),
        "fb_tunnels=none",
        # A control group holds its programs' memory; to count the kernel's costs every packet.
        "cgroup.memory=nokmem,nosocket",
        f"init={_quoted(boot.python)}",
        *("--", "-I", "-S", "-B", "-X", "utf8", "-c", _quoted(loader)),
    ]
    if sum(len(argument) + 1 for argument in arguments) > COMMAND_LINE_LIMIT:
        hint = "shorten PATH, PYTHONPATH and the TESTBED_ variables"
        raise HostError("the guest's environment does not fit its kernel's command line", hint=hint)
    return arguments


def _device(number: int, wire: Wire) -> str:
    """A network device on an open tap, read and written frame by frame (`vec=0`)."""
    return f"vec{number}:transport=fd,fd={wire.tap},vec=0,mac={wire.mac},mtu={wire.mtu}"


def _quoted(argument: str) -> str:
    if '"' in argument:
        raise HostError(f"a user-mode kernel cannot be passed {argument!r}: it has a quote in it")
    return f'"{argument}"'


def tidy(directory: Path) -> None:
    """Remove what a kernel without mounts of its own leaves, and the directory if that was all."""
    for name in (UMID, INBOX):
        shutil.rmtree(directory / name, ignore_errors=True)
    (directory / SOCKET).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        directory.rmdir()


def _prepare(directory: Path, memory_mb: int) -> Callable[[], None]:
    """Return what the new process does before it becomes the kernel."""
    processor = _least_used_processor()

    def prepare() -> None:
        # A system call costs ten times as much where its two halves are on different processors.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {processor})
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        processes.raise_file_limit()
        if processes.see_everything_read_only() and processes.mount_private(directory):
            os.chdir(directory)
        else:
            os.chdir(_place_for_memory(memory_mb) or directory)

    return prepare


def _place_for_memory(memory_mb: int) -> str | None:
    """Return the first directory that holds so much; a container's /dev/shm often has 64 MB.

    A guest that finds no room for a page of its memory ends at once.
    """
    return next((place for place in MEMORY_PLACES if _is_usable(place, memory_mb)), None)


def _is_usable(directory: str, memory_mb: int) -> bool:
    """Whether programs can run from files of this directory, and so many can be written."""
    try:
        state = os.statvfs(directory)
    except OSError:
        return False
    room = state.f_bavail * state.f_frsize // (1024 * 1024)
    may_run = not state.f_flag & os.ST_NOEXEC and os.access(directory, os.W_OK | os.X_OK)
    return may_run and room >= memory_mb


def _least_used_processor() -> int:
    """Return the allowed processor that the fewest user-mode kernels are pinned to."""
    used: Counter[int] = Counter()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if Path(entry.path, "comm").read_text().startswith(uml_kernels.PROGRAM):
                    pinned = os.sched_getaffinity(int(entry.name))
                    used.update(pinned if len(pinned) == 1 else ())
    # Of equals any: two that start at the same moment shall not both take the first.
    allowed = sorted(os.sched_getaffinity(0))
    turn = os.getpid() % len(allowed)
    return min(allowed[turn:] + allowed[:turn], key=lambda processor: used[processor])
