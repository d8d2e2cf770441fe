"""The native keeper: `python -m testbed.keeper NAME DIRECTORY`.

Started by `testbed.lifecycle.start`. It moves into PID, mount, network, UTS and IPC
namespaces of its own (an ordinary user's: inside a user namespace), so that
nothing it makes outlives it and nothing it does touches the host, and becomes
the first process in there. A first line of JSON on standard output says
`{"ready": true, "pid": n}` or `{"error": …}`; standard input is a leash: when
the launcher lets go of it before the first `apply` has come through, the
keeper ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from testbed.control.protocol import (
    CONTROL_SOCKET,
    NAME_PATTERN,
    NETNS_DIRECTORY,
    control_address,
    peer,
)
from testbed.errors import HostError, TestbedError
from testbed.keeper.registration import Registration
from testbed.keeper.server import Keeper
from testbed.kernel import isolation, namespace
from testbed.kernel.host_interfaces import Outside


def enter_namespaces() -> None:
    """Leave the host's namespaces; returns in a child that is process 1 of the new ones."""
    try:
        isolation.leave_host()
    except OSError as error:
        hint = "`testbed doctor` says what forbids it; --vm uml does without"
        if os.geteuid() == 0:
            hint = "in a container: with the SYS_ADMIN and NET_ADMIN capabilities, or --vm always"
        raise HostError(f"cannot leave this machine's namespaces: {error}", hint=hint) from error
    if os.fork():
        os._exit(0)
    os.setsid()


class NamespaceLinks:
    """Publishes the namespaces to `ip netns` and friends as links in /run/netns.

    A link leads to the keeper's descriptor, so that a dead keeper leaves a
    dangling link and nothing else. Works through a descriptor of the host's
    directory, opened before the host's namespaces are left: /run itself is
    private here, and the host's files are for reading only.
    """

    def __init__(self, name: str) -> None:
        NETNS_DIRECTORY.mkdir(mode=0o755, exist_ok=True)
        self._directory = os.open(NETNS_DIRECTORY, os.O_RDONLY | os.O_DIRECTORY)
        self._name = name
        self.pid = 0  # as the host sees it
        self._links: dict[str, str] = {}

    def update(self, namespaces: dict[str, int]) -> None:
        """Make the links match the namespaces; HostError when they cannot be written."""
        try:
            self._update(namespaces)
        except OSError as error:
            raise HostError(f"cannot write links in {NETNS_DIRECTORY}: {error.strerror}") from error

    def _update(self, namespaces: dict[str, int]) -> None:
        wanted = {
            f"{self._name}.{node}": f"/proc/{self.pid}/fd/{descriptor}"
            for node, descriptor in namespaces.items()
        }
        for link, target in self._links.items():
            if wanted.get(link) != target:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(link, dir_fd=self._directory)
        for link, target in wanted.items():
            if self._links.get(link) != target:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(link, dir_fd=self._directory)
                os.symlink(target, link, dir_fd=self._directory)
        self._links = wanted


async def serve(keeper: Keeper, server: Any, registration: Registration) -> None:
    """Serve until the testbed ends."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCHLD, keeper.child_ended)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, keeper.end)
    # Not closed at the end: that would wait for every client to hang up (Python 3.12).
    user = os.geteuid()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if peer(writer.get_extra_info("socket"))[1] == user:
            await keeper.serve_connection(reader, writer)
        else:
            writer.close()

    listener = await asyncio.start_unix_server(connected, sock=server)
    registration.watch(keeper.end)
    loop.add_reader(0, _leash, loop, keeper)
    _report({"ready": True})
    await keeper.wait_stopped()
    del listener


def _leash(loop: asyncio.AbstractEventLoop, keeper: Keeper) -> None:
    if not os.read(0, 1024):
        loop.remove_reader(0)
        keeper.abandon()


def _report(message: dict[str, Any]) -> None:
    """Tell the launcher, then let go of its pipe."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(message).encode() + b"\n")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.close(null)


def main(name: str, directory: str) -> None:
    """Become the keeper of testbed `name`, whose socket goes into `directory`."""
    if not NAME_PATTERN.fullmatch(name):
        raise HostError(f"bad testbed name {name!r}")
    is_root = os.geteuid() == 0  # in a user namespace of its own it seems so, too
    try:
        outside = Outside(namespace.current())
        # An ordinary user cannot write to /run/netns, nor enter what is linked there.
        links = NamespaceLinks(name) if is_root else None
        enter_namespaces()
        if links is not None:  # still the host's /proc: the host's number
            links.pid = int(str(Path("/proc/self").readlink()))
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        Path(directory, CONTROL_SOCKET).unlink(missing_ok=True)
        os.umask(0o077)
        with control_address(Path(directory)) as address:
            server.bind(address)
        os.umask(0o022)
        server.listen(64)
        registration = Registration(Path(directory))
        isolation.settle()
        for node_files in ("/run/node", "/run/lock"):
            Path(node_files).mkdir()
        isolation.protect()
        keeper = Keeper(name, None if links is None else links.update, outside)
        asyncio.run(serve(keeper, server, registration))
    except TestbedError as error:
        _report({"error": error.to_json()})
    except OSError as error:
        _report({"error": HostError(f"cannot start the testbed's keeper: {error}").to_json()})
    except Exception:  # noqa: BLE001 - the launcher shows what was written before the end
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
