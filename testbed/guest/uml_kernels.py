"""User-mode Linux kernels on this host: those that were built here, and the distribution's.

A kernel is a program. What it can do is told by the configuration that it was
made with, which it prints when asked.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from testbed.guest.vmlinux import cache_directory
from testbed.kernel.trials import OF_GUESTS, PROBES

PROGRAM = "linux"
DISTRIBUTION = "linux.uml"
OLDEST = (6, 16)
"""The first version with seccomp mode, without which every system call takes ten times as long."""
CPUINFO = Path("/proc/cpuinfo")
SYSTEM_CACHE = Path("/var/cache/testbed")
GUEST_OPTIONS = {
    "CONFIG_HOSTFS": "the host's file system",
    "CONFIG_OVERLAY_FS": "private directories",
    "CONFIG_DEVTMPFS": "devices",
    "CONFIG_TMPFS": "private directories",
    "CONFIG_SSL": "the control port",
    "CONFIG_UNIX98_PTYS": "shells",
    "CONFIG_NET_NS": "nodes",
    "CONFIG_PID_NS": "nodes",
}
WIRE_OPTIONS = {"CONFIG_MACVLAN": "CONFIG_UML_NET_VECTOR"}
"""What an option needs beside it, where the host's interfaces come as devices."""
FEATURES = (*PROBES, *OF_GUESTS)
OPTION = re.compile(r"CONFIG_\w+")


@dataclass(frozen=True)
class UmlKernel:
    """A user-mode kernel."""

    path: Path
    origin: str = "built here"

    @cached_property
    def version(self) -> str:
        """Its release; empty where the program is something else."""
        text = self._ask("--version").strip()
        return text if re.match(r"\d+\.\d+", text) else ""

    @cached_property
    def _configuration(self) -> dict[str, str]:
        lines = (line.partition("=") for line in self._ask("--showconfig").splitlines())
        return {name: value for name, _, value in lines if value in {"y", "m"}}

    @property
    def options(self) -> frozenset[str]:
        """The options that are part of it."""
        return frozenset(name for name, value in self._configuration.items() if value == "y")

    @property
    def skips_time(self) -> bool:
        """Whether its time can be virtual, and what chance does in it repeated.

        With a random number generator of its host's it could not be.
        """
        return "CONFIG_UML_TIME_TRAVEL_SUPPORT" in self.options and not (
            {"CONFIG_UML_RANDOM", "CONFIG_SMP"} & self.options
        )

    def lacking(self, features: Iterable[str] | None = None) -> list[str]:
        """Return which of these features (None: of all that a plan may need) it has not.

        What it has as a module counts as lacking: modules are not loaded.
        """
        wanted = None if features is None else set(features)
        return [
            probe.name
            for probe in FEATURES
            if (wanted is None or probe.name in wanted)
            and not self.options.issuperset(_options(probe.option))
        ]

    def complaints(self) -> list[str]:
        """List all that is wrong with it: what keeps it from running, and what it lacks."""
        found = self.problems()
        lacking = self.lacking() if self.version else []
        modules = [name for name in lacking if self._is_module(name)]
        if without := [name for name in lacking if name not in modules]:
            found.append(f"lacks {', '.join(without)}")
        if modules:
            found.append(f"has {', '.join(modules)} only as modules, which are not loaded")
        return found

    def _is_module(self, feature: str) -> bool:
        option = next(probe.option for probe in FEATURES if probe.name == feature)
        return self._configuration.keys() >= _options(option)

    def problems(self) -> list[str]:
        """List what keeps it from running any testbed."""
        if not os.access(self.path, os.X_OK):
            return [f"{self.path} is not a program"]
        if not self.version:
            return [f"{self.path} is not a user-mode kernel"]
        if numbers(self.version) < OLDEST:
            text = f"{self.version} is older than {OLDEST[0]}.{OLDEST[1]}, which has seccomp mode"
            if " amx_tile " in CPUINFO.read_text():
                text += ", and may crash on this processor, which has AMX"
            return [text]
        return [
            f"{self.version} lacks {option} ({purpose})"
            for option, purpose in GUEST_OPTIONS.items()
            if option not in self.options
        ]

    def _ask(self, option: str) -> str:
        try:
            done = subprocess.run(
                [self.path, option], capture_output=True, text=True, check=False, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
            return ""
        return done.stdout


def _options(text: str) -> set[str]:
    named = set(OPTION.findall(text))
    return named | {WIRE_OPTIONS[option] for option in named & WIRE_OPTIONS.keys()}


def numbers(version: str) -> tuple[int, ...]:
    """Return a version as what compares."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def store() -> Path:
    """Return where this user's built kernels are kept."""
    return cache_directory() / "kernels"


def built() -> list[UmlKernel]:
    """Return the kernels that were built here, the newest version first.

    A user's own come before those of root, which every user may run.
    """
    found = []
    for directory in dict.fromkeys((store(), SYSTEM_CACHE / "kernels")):
        kernels = [UmlKernel(path) for path in directory.glob(f"[0-9]*/{PROGRAM}")]
        found += sorted(kernels, key=_age, reverse=True)
    return found


def _age(kernel: UmlKernel) -> tuple[tuple[int, ...], float]:
    return numbers(kernel.path.parent.name.rpartition("-")[0]), kernel.path.stat().st_mtime


def candidates() -> list[UmlKernel]:
    """Return all kernels here, the preferred one first; TESTBED_UML_KERNEL names the only one."""
    if wanted := os.environ.get("TESTBED_UML_KERNEL"):
        return [UmlKernel(Path(wanted), "TESTBED_UML_KERNEL")]
    found = built()
    if path := shutil.which(DISTRIBUTION):
        found.append(UmlKernel(Path(path), "the distribution's"))
    return found


def find(features: Iterable[str] | None = None, *, virtual_time: bool = False) -> UmlKernel | None:
    """Return the first kernel that works and has the features; None where there is none."""
    wanted = None if features is None else set(features)
    for kernel in candidates():
        if virtual_time and not kernel.skips_time:
            continue
        if not kernel.problems() and not kernel.lacking(wanted):
            return kernel
    return None
