"""Processes of instances: programs with a root file system, user and limits of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RestartPolicy = Literal["always", "on-failure", "never"]


@dataclass(frozen=True, slots=True)
class ProcessMount:
    """A file or directory of this machine at `target`; without `source`, memory."""

    target: str
    source: str = ""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class InstanceProcess:
    """A process of an instance; what is empty is the image's, a limit of 0 is none.

    `memory_mib` in MiB; `processors` in processors' time. `listens` are pairs of protocol
    and port, at which it has to listen for the testbed to be ready.
    """

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    user: str = ""
    working_directory: str = ""
    mounts: tuple[ProcessMount, ...] = ()
    network: Literal["instance", "none"] = "instance"
    capabilities: tuple[str, ...] = ()
    memory_mib: int = 0
    processors: float = 0.0
    max_processes: int = 0
    max_open_files: int = 0
    read_only: bool = False
    restart: RestartPolicy = "never"
    listens: tuple[tuple[Literal["tcp", "udp"], int], ...] = ()
