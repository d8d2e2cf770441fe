"""What every kind of guest offers, so that the relay does not know which one it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable
    from pathlib import Path

    from testbed.guest.wires import Wire


@dataclass(frozen=True, slots=True)
class Boot:
    """What is to be booted.

    `python` and `code` are what runs as process 1 of the guest once the host's
    file system is mounted there. `memory_mb` is a ceiling: the host gives
    memory as the guest uses it. `accelerate` false means pure emulation.
    Each of the `wires` is a network device of the guest. Where its time is
    virtual, `parameters` is put where `code` looks for it.
    """

    name: str
    python: str
    code: str
    memory_mb: int = 2048
    processors: int = 2
    accelerate: bool = True
    kernel: Path | None = None
    wires: tuple[Wire, ...] = ()
    virtual_time: bool = False
    parameters: str = ""


@dataclass
class VirtualTime:
    """The host's ends of a guest's virtual time (testbed/guest/calendar.py)."""

    listener: socket.socket
    """Where the guest's kernel asks for time; it connects once."""
    inbox: Path
    """Where the guest reads what it is sent."""
    doorbell: socket.socket
    """Connected to the reading side of its control port."""

    def close(self) -> None:
        """Close the sockets."""
        self.listener.close()
        self.doorbell.close()


class Running(Protocol):
    """A guest that was started."""

    control: socket.socket
    """Connected to the guest's control port."""
    console: socket.socket
    """What the guest's kernel and its emulator say; read-only."""
    pace: int | None
    """Bytes that may be on their way into the control port; None: it has no limit."""
    time: VirtualTime | None
    """What it takes to give it time, where its time is virtual."""

    def pids(self) -> list[int]:
        """Host processes that the guest is made of; the first one's end is the guest's end."""

    def fate(self) -> str:
        """Say, as a clause, how it has ended, or that it still runs."""

    def kill(self) -> None:
        """End all of them now, and wait until they are gone."""


class Guest(Protocol):
    """A kind of guest."""

    name: str
    control_port: str
    """The device that is the control port inside; empty: the first virtio port."""
    has_modules: bool
    """Whether its kernel loads modules, rather than having all of it built in."""

    def problems(self) -> list[str]:
        """List what this host lacks to run it, each with the remedy; empty when it can."""

    def hints(self) -> list[str]:
        """List what would make it, or testbeds, better."""

    def lacking(self, features: Iterable[str] | None) -> list[str]:
        """Return which features it is known to lack, of these or of all that a plan may need."""

    def accelerated(self) -> bool:
        """Whether the processor can run it, or it has to be emulated."""

    def mounts(self) -> str:
        """Return the table of what process 1 has to mount; empty where that is done before it."""

    def attempts(self, *, accelerate: bool) -> list[tuple[bool, str]]:
        """Return the ways to start it, each tried when the one before did not come up.

        Of each, whether it is accelerated, and what to call it.
        """

    def start(self, boot: Boot) -> Running:
        """Start it; raises HostError where `problems` has something to say."""
