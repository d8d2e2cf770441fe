"""Processes of instances, as the topology file has them. Terms are those of ECS and Docker."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from testbed.topology.processes import FilePath, Image, Listener, User
from testbed.topology.schema.base import Form

Capability = Literal["NET_ADMIN", "IPC_LOCK", "SYS_PTRACE", "SYS_ADMIN", "SYS_NICE", "SYS_RESOURCE"]


class MountForm(Form):
    """Something at a place of a process's root file system."""

    target: FilePath = Field(description="Where it is in the root file system.")
    source: FilePath | None = Field(
        None, description="The file or directory of this machine. Default: empty memory."
    )
    read_only: bool = Field(default=False, description="Whether it is read-only. Default: false.")


class ProcessForm(Form):
    """A program that runs in an instance, with a root file system of its own (a container)."""

    image: Image | None = Field(
        None,
        description="Its root file system: busybox; the path of an OCI bundle or of a root file"
        " system; oci:DIRECTORY[:TAG], oci-archive:FILE, docker-archive:FILE,"
        " docker://REGISTRY/NAME[:TAG]. Default: this machine's files.",
    )
    command: list[str] = Field(
        default=[], description="Its program and arguments. Default: the image's."
    )
    environment: dict[str, str] = Field(
        default={}, description="Environment variables, beside the image's. Default: none."
    )
    user: User | None = Field(
        None, description="USER[:GROUP], names or numbers. Default: the image's, or root."
    )
    working_directory: FilePath | None = Field(
        None, description="Its working directory. Default: the image's, or /."
    )
    mounts: list[MountForm] = Field(default=[], description="Its mounts. Default: none.")
    network: Literal["instance", "none"] = Field(
        "instance",
        description="instance: the instance's interfaces; none: a loopback interface only."
        " Default: instance.",
    )
    capabilities: list[Capability] = Field(
        default=[], description="Capabilities beside Docker's usual ones. Default: none."
    )
    memory: int | None = Field(
        None, ge=4, le=1_048_576, description="Its memory in MiB, at most. Default: no limit."
    )
    processors: float | None = Field(
        None, ge=0.01, le=1024, description="The processors it may use. Default: no limit."
    )
    max_processes: int | None = Field(
        None, ge=1, le=1_000_000, description="Its processes and threads. Default: no limit."
    )
    max_open_files: int | None = Field(
        None, ge=3, le=1_000_000, description="Its open files. Default: no limit."
    )
    read_only: bool = Field(
        default=False, description="Whether its root file system is read-only. Default: false."
    )
    restart: Literal["always", "on-failure", "never"] = Field(
        "never", description="Whether it is started again when it has ended. Default: never."
    )
    listens: list[Listener] = Field(
        default=[],
        description="The ports at which it has to listen for the testbed to be ready: tcp/80,"
        " udp/53. Default: none.",
    )
