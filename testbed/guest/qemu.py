"""A guest in QEMU, with a kernel of the distribution on the host's own file system."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import HostError
from testbed.guest import initramfs, kernels, processes, vmlinux
from testbed.guest.kernels import Kernel
from testbed.kernel import rights

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed.guest.base import Boot, VirtualTime
    from testbed.guest.wires import Wire

PROGRAM = "qemu-system-x86_64"
CPUINFO, KVM = Path("/proc/cpuinfo"), Path("/dev/kvm")
VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd")

# RDRAND: without it the kernel gathers entropy for a second when the first
# program asks for random numbers. The SSE levels are x86-64-v2, which some
# distributions compile for. `max` would cost 4 s more of start-up checks.
EMULATED_PROCESSOR = "qemu64,+rdrand,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16"

COMMAND_LINE = (
    "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check mitigations=off nokaslr "
    "cryptomgr.notests audit=0 apparmor=0 selinux=0 random.trust_cpu=on net.ifnames=0 "
    "bonding.max_bonds=0 dummy.numdummies=0 ifb.numifbs=0 fb_tunnels=none rdinit=/init"
)


@dataclass
class QemuRunning:
    """A running QEMU and its file server."""

    control: socket.socket
    console: socket.socket
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    pace: int | None = None
    time: VirtualTime | None = None

    def pids(self) -> list[int]:
        """Host processes: QEMU, then its file server if it has one."""
        return [process.pid for process in self.processes]

    def fate(self) -> str:
        """Say how QEMU has ended, or the file server without which it is of no use."""
        return processes.fate(*zip(self.processes, (PROGRAM, "virtiofsd"), strict=False))

    def kill(self) -> None:
        """End them."""
        for process in self.processes:
            processes.stop(process)
        self.control.close()
        self.console.close()


class QemuGuest:
    """Boots QEMU guests."""

    name = "qemu"
    control_port = ""
    has_modules = True

    @cached_property
    def _installed_virtiofsd(self) -> str | None:
        return next((path for path in VIRTIOFSD if os.access(path, os.X_OK)), None) or shutil.which(
            "virtiofsd"
        )

    @cached_property
    def _virtiofsd(self) -> str | None:
        """The file server, if this user can run it: QEMU's own in C has to be some kind of root."""
        program = self._installed_virtiofsd
        if program and not rights.can_be_root() and not _is_rewrite(program):
            return None
        return program

    def problems(self) -> list[str]:
        """List what this host lacks to run a QEMU guest."""
        found = []
        if platform.machine() != "x86_64":
            found.append("a QEMU guest needs an x86-64 host")
        if shutil.which(PROGRAM) is None:
            found.append(f"{PROGRAM} is not installed: apt-get install qemu-system-x86")
        if initramfs.find_busybox() is None:
            found.append(
                "a statically linked busybox is not installed: apt-get install busybox-static"
            )
        if self.kernel() is None:
            found.append(self._kernel_problem())
        return found

    def kernel(self) -> Kernel | None:
        """Return the kernel that a guest would boot; TESTBED_VM_KERNEL names another image."""
        roots = (kernels.VIRTIOFS, kernels.NINEP) if self._virtiofsd else (kernels.NINEP,)
        available = kernels.installed()
        if wanted := os.environ.get("TESTBED_VM_KERNEL"):
            available = [kernel for kernel in available if kernel.image == Path(wanted)]
        for root in roots:
            for kernel in available:
                if kernel.has(*kernels.COMMON, *root) and os.access(kernel.image, os.R_OK):
                    return kernel
        return None

    def _kernel_problem(self) -> str:
        if closed := [k.image for k in kernels.installed() if not os.access(k.image, os.R_OK)]:
            return f"only root can read {closed[0]}: sudo chmod a+r {closed[0]}"
        if self._installed_virtiofsd and not self._virtiofsd:
            return (
                "this user gets no user namespace, which virtiofsd needs, and no kernel is "
                "installed that works without it: apt-get install linux-image-amd64"
            )
        if self._virtiofsd:
            return "no kernel for the guest is installed: apt-get install linux-image-cloud-amd64"
        return (
            "no kernel for the guest is installed that works without virtiofsd: "
            "apt-get install linux-image-amd64, or virtiofsd and linux-image-cloud-amd64"
        )

    def accelerated(self) -> bool:
        """Whether KVM is usable.

        /dev/kvm alone proves nothing: under paravirtual nesting it opens, and
        guests never come up; there the processor shows no vmx and no svm.
        """
        flags = CPUINFO.read_text().partition("\nflags")[2].partition("\n")[0].split()
        return ("vmx" in flags or "svm" in flags) and os.access(KVM, os.R_OK | os.W_OK)

    def hints(self) -> list[str]:
        """Return nothing: its packages are all that it needs."""
        return []

    def lacking(self, features: Iterable[str] | None) -> list[str]:  # noqa: ARG002
        """Return nothing: a distribution's kernel has every feature as a module."""
        return []

    def mounts(self) -> str:
        """Return nothing: the initramfs mounts everything."""
        return ""

    def attempts(self, *, accelerate: bool) -> list[tuple[bool, str]]:
        """Return the ways to start it: with KVM where that seems usable, then emulated."""
        accelerated = [(True, "accelerated by KVM")] if accelerate and self.accelerated() else []
        return [*accelerated, (False, "emulated")]

    def start(self, boot: Boot) -> QemuRunning:
        """Start QEMU; raises HostError where `problems` has something to say."""
        if problems := self.problems():
            raise HostError(
                "the micro VM cannot start: " + "; ".join(problems), hint="testbed doctor"
            )
        kernel, busybox = self.kernel(), initramfs.find_busybox()
        if kernel is None or busybox is None:
            raise AssertionError("problems() looks for both")
        control, control_far = socket.socketpair()
        console, console_far = socket.socketpair()
        running = QemuRunning(control, console)
        with control_far, console_far:
            try:
                root = self._root(running, kernel, boot)
                modules = (*kernels.COMMON, *root.modules)
                archive = initramfs.build(
                    kernel, boot, busybox=busybox, root=(root.kind, root.options, modules)
                )
                argv = [
                    *_machine(boot, accelerate=boot.accelerate and self.accelerated()),
                    *("-kernel", str(vmlinux.bootable(boot.kernel or kernel.image))),
                    *root.arguments,
                    *_ports(control_far.fileno(), console_far.fileno()),
                    *(word for wire in boot.wires for word in _device(wire)),
                ]
                with os.fdopen(os.memfd_create("initramfs"), "wb") as file:
                    file.write(archive)
                    file.flush()
                    argv += ["-initrd", f"/proc/self/fd/{file.fileno()}"]
                    inherited = [file.fileno(), control_far.fileno(), console_far.fileno()]
                    inherited += [wire.tap for wire in boot.wires]
                    process = processes.start(
                        argv, pass_fds=(*inherited, *root.inherited), output=console_far.fileno()
                    )
                running.processes.insert(0, process)
            except BaseException:
                running.kill()
                raise
            finally:
                for connection in root.sockets:
                    connection.close()
        return running

    def _root(self, running: QemuRunning, kernel: Kernel, boot: Boot) -> Root:
        if self._virtiofsd is None or not kernel.has(*kernels.VIRTIOFS):
            return NINEP_ROOT
        # An unnamed socket, so that there is no file to clean up.
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("")
        listener.listen(1)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(listener.getsockname())
        with listener:
            server = processes.start(
                _virtiofsd_arguments(self._virtiofsd, listener.fileno()),
                pass_fds=(listener.fileno(),),
                output=subprocess.DEVNULL,
                prepare=_prepare_file_server,
            )
        running.processes.append(server)
        return virtiofs_root(connection, boot.memory_mb)


@dataclass(frozen=True)
class Root:
    """How the guest gets the host's file system."""

    kind: str
    options: str
    modules: tuple[str, ...]
    arguments: tuple[str, ...]
    sockets: tuple[socket.socket, ...] = ()

    @property
    def inherited(self) -> tuple[int, ...]:
        """Return the file descriptors that QEMU needs for it."""
        return tuple(connection.fileno() for connection in self.sockets)


NINEP_ROOT = Root(
    kind="9p",
    options="ro,trans=virtio,version=9p2000.L,msize=524288,cache=loose",
    modules=kernels.NINEP,
    arguments=(
        *("-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=root,mount_tag=root"),
    ),
)


def virtiofs_root(connection: socket.socket, memory_mb: int) -> Root:
    """Return the root that the file server at `connection` offers; it shares the guest's memory."""
    return Root(
        kind="virtiofs",
        options="ro",
        modules=kernels.VIRTIOFS,
        arguments=(
            *("-object", f"memory-backend-memfd,id=memory,size={memory_mb}M,share=on"),
            *("-numa", "node,memdev=memory"),
            *("-chardev", f"socket,id=files,fd={connection.fileno()}"),
            *("-device", "vhost-user-fs-pci,queue-size=1024,chardev=files,tag=root"),
        ),
        sockets=(connection,),
    )


def _machine(boot: Boot, *, accelerate: bool) -> list[str]:
    return [
        PROGRAM,
        *("-name", f"testbed-{boot.name}", "-machine", "q35"),
        *(("-accel", "kvm") if accelerate else ("-accel", "tcg,thread=multi")),
        *("-cpu", "host" if accelerate else EMULATED_PROCESSOR),
        *("-smp", str(boot.processors), "-m", f"{boot.memory_mb}M"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-append", COMMAND_LINE),
    ]


def _ports(control: int, console: int) -> list[str]:
    return [
        *("-chardev", f"socket,id=console,fd={console}", "-serial", "chardev:console"),
        *("-chardev", f"socket,id=control,fd={control}", "-device", "virtio-serial-pci"),
        *("-device", "virtserialport,chardev=control,name=testbed.control"),
    ]


def _device(wire: Wire) -> list[str]:
    """A network device on an open tap."""
    name = f"wire{wire.tap}"
    device = f"virtio-net-pci,netdev={name},mac={wire.mac},host_mtu={wire.mtu}"
    return ["-netdev", f"tap,id={name},fd={wire.tap},vhost=off", "-device", device]


def _is_rewrite(program: str) -> bool:
    """Whether it is the rewrite in Rust, rather than the one that QEMU had until 7.2."""
    usage = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
    return "--shared-dir" in usage.stdout + usage.stderr


def _virtiofsd_arguments(program: str, listener: int) -> list[str]:
    common = [program, f"--fd={listener}", "--rlimit-nofile=0"]
    if _is_rewrite(program):
        sandbox = "chroot" if rights.can_be_root() else "none"
        return [*common, "--shared-dir=/", "--cache=always", f"--sandbox={sandbox}"]
    options = "source=/,cache=always,sandbox=chroot,no_posix_lock"
    return [*common, "-o", options]


def _prepare_file_server() -> None:
    processes.raise_file_limit()
    # It has to be root to leave everything but the shared directory, and be it of a namespace.
    processes.see_everything_read_only(as_root=True)
