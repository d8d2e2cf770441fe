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

if TYPE_CHECKING:
    from testbed.guest.base import Boot

PROGRAM = "qemu-system-x86_64"
VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd")

# RDRAND: without it the kernel gathers entropy for a second when the first
# program asks for random numbers. The SSE levels are x86-64-v2, which some
# distributions compile for. `max` would cost 4 s more of start-up checks.
EMULATED_PROCESSOR = "qemu64,+rdrand,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16"

COMMAND_LINE = (
    "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check mitigations=off nokaslr "
    "cryptomgr.notests audit=0 apparmor=0 selinux=0 random.trust_cpu=on net.ifnames=0 "
    "bonding.max_bonds=0 dummy.numdummies=0 ifb.numifbs=0 rdinit=/init"
)


@dataclass
class QemuRunning:
    """A running QEMU and its file server."""

    control: socket.socket
    console: socket.socket
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def pids(self) -> list[int]:
        """Host processes: QEMU, then its file server if it has one."""
        return [process.pid for process in self.processes]

    def kill(self) -> None:
        """End them."""
        for process in self.processes:
            processes.stop(process)
        self.control.close()
        self.console.close()


class QemuGuest:
    """Boots QEMU guests."""

    name = "qemu"

    @cached_property
    def _virtiofsd(self) -> str | None:
        return next((path for path in VIRTIOFSD if os.access(path, os.X_OK)), None) or shutil.which(
            "virtiofsd"
        )

    @cached_property
    def _busybox(self) -> Path | None:
        for name in ("busybox", "busybox.static", "busybox-static"):
            path = shutil.which(name)
            if path is not None and is_static(Path(path)):
                return Path(path).resolve()
        return None

    def problems(self) -> list[str]:
        """List what this host lacks to run a QEMU guest."""
        found = []
        if platform.machine() != "x86_64":
            found.append("a QEMU guest needs an x86-64 host")
        if os.geteuid() != 0:
            found.append("a QEMU guest needs root, to offer the host's file system to it")
        if shutil.which(PROGRAM) is None:
            found.append(f"{PROGRAM} is not installed: apt-get install qemu-system-x86")
        if self._busybox is None:
            found.append(
                "a statically linked busybox is not installed: apt-get install busybox-static"
            )
        if self.kernel() is None:
            found.append(self._kernel_problem())
        return found

    def kernel(self) -> Kernel | None:
        """Return the kernel that a guest would boot; TESTBED_VM_KERNEL names another image."""
        roots = [kernels.VIRTIOFS] if self._virtiofsd else []
        roots.append(kernels.NINEP)
        available = kernels.installed()
        if wanted := os.environ.get("TESTBED_VM_KERNEL"):
            available = [kernel for kernel in available if kernel.image == Path(wanted)]
        for root in roots:
            for kernel in available:
                if kernel.has(*kernels.COMMON, *root):
                    return kernel
        return None

    def _kernel_problem(self) -> str:
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
        flags = Path("/proc/cpuinfo").read_text().partition("\nflags")[2].partition("\n")[0].split()
        return ("vmx" in flags or "svm" in flags) and os.access("/dev/kvm", os.R_OK | os.W_OK)

    def start(self, boot: Boot) -> QemuRunning:
        """Start QEMU; raises HostError where `problems` has something to say."""
        if problems := self.problems():
            raise HostError(
                "the micro VM can't start: " + "; ".join(problems), hint="testbed doctor"
            )
        kernel, busybox = self.kernel(), self._busybox
        assert kernel is not None and busybox is not None  # noqa: PT018
        control, control_far = socket.socketpair()
        console, console_far = socket.socketpair()
        running = QemuRunning(control, console)
        try:
            if self._virtiofsd and kernel.has(*kernels.VIRTIOFS):
                root, inherited = self._serve_files(running), "virtiofs"
            else:
                root, inherited = None, "9p"
            self._start_qemu(running, boot, kernel, busybox, root, control_far, console_far)
        except BaseException:
            running.kill()
            raise
        finally:
            control_far.close()
            console_far.close()
        return running
