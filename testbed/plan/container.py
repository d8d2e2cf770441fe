"""What a process may have of its own beside its program: root file system, user, limits.

The terms are those of the OCI runtime specification
(https://github.com/opencontainers/runtime-spec/blob/main/config.md), by which `crun` runs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BUSYBOX = "busybox"
"""The image that is made of the machine's own static busybox."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or directory of this machine, `source`, seen at `target`; without source, memory."""

    target: str
    source: str = ""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process and its children may take; 0 where there is no limit.

    `memory_mib` in MiB, `processors` in processors' time, `processes` and `open_files` in
    numbers. Whoever wants more memory is killed, more processes or files are refused, and
    more processor time has to wait.
    """

    memory_mib: int = 0
    processors: float = 0.0
    processes: int = 0
    open_files: int = 0

    @property
    def grouped(self) -> bool:
        """Whether a control group has to hold them."""
        return bool(self.memory_mib or self.processors or self.processes)


@dataclass(frozen=True, slots=True)
class Container:
    """A process's own namespaces and root file system.

    `image` is BUSYBOX, an OCI bundle or root file system (the path of its directory), or what
    skopeo reads, TRANSPORT:PLACE; empty: the machine's own files. `user` is USER[:GROUP], by
    name or number; it and `directory` are the image's where they are empty. `network` is the
    node's, or none: a namespace of its own with a loopback interface only.
    """

    image: str = ""
    user: str = ""
    directory: str = ""
    mounts: tuple[Mount, ...] = ()
    network: Literal["node", "none"] = "node"
    limits: Limits = Limits()
    read_only: bool = False
    capabilities: tuple[str, ...] = ()

    @property
    def programs(self) -> tuple[str, ...]:
        """The machine's programs that it needs."""
        if self.image == BUSYBOX:
            return ("crun", "busybox")
        if not self.image or self.image.startswith("/"):
            return ("crun",)
        is_layout = self.image.startswith("oci:")
        return ("crun", "umoci") if is_layout else ("crun", "umoci", "skopeo")
