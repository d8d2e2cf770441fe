"""Process 1 of a micro VM: the keeper, reached through the control port.

Everything is mounted: by the initramfs (testbed/guest/initramfs.py), or by
testbed/keeper/mounts.py in a user-mode kernel. What is left
is the network's basics, the clock, and one task for each channel that the
host opens. Imports are few: each costs ten times more here than on the host.
"""

# ruff: noqa: PLC0415  imports are late so that modules load in the background meanwhile

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from testbed.guest.channel import Channel
    from testbed.guest.mux import Mux

NAMELESS = "testbed"
FILE_LIMIT = 1024 * 1024
LAST_WORDS_S = 0.3  # for the answer to "stop"; other connections just end
SETTINGS = {  # docs/micro-vm.md says what was left as it is, and why
    # No tunnel devices in every namespace: they would cost time and be in the way.
    "net/core/fb_tunnels_only_for_init_net": "1",
    # One table for the neighbours of all namespaces.
    "net/ipv4/neigh/default/gc_thresh1": "8192",
    "net/ipv4/neigh/default/gc_thresh2": "16384",
    "net/ipv4/neigh/default/gc_thresh3": "32768",
    "net/ipv6/neigh/default/gc_thresh1": "8192",
    "net/ipv6/neigh/default/gc_thresh2": "16384",
    "net/ipv6/neigh/default/gc_thresh3": "32768",
    # One table for the connections of all namespaces: some thousand for each of 16 racks' rules.
    "net/netfilter/nf_conntrack_max": "262144",
    # What a program may ask for; as much in every kernel, so that measurements agree.
    "net/core/rmem_max": "16777216",
    "net/core/wmem_max": "16777216",
    "fs/inotify/max_user_instances": "8192",
}


def main(parameters: dict[str, Any] | str) -> None:
    """Run the keeper until it was told to stop, then switch the machine off.

    `parameters`, or what the JSON file of that name has: `name` of the
    testbed, `environment`, `modprobe` (argument vector that loads the network
    modules, if there are any), `port` (the control port's device, empty for
    virtio's), `mounts` (an fstab, if anything is left to be mounted), `keeper`
    ("module:class"), `wires` (host interfaces, each with the address of the
    device that leads to it), and `virtual` where time is: its `seed`, and the
    `inbox` on the host.
    """
    try:
        if isinstance(parameters, str):
            parameters = _read(parameters)
        if virtual := parameters["virtual"]:
            # Before mounts of our own hide the host's.
            virtual["inbox"] = os.open(virtual["inbox"], os.O_RDONLY | os.O_DIRECTORY)
        if table := parameters["mounts"]:
            from testbed.keeper.mounts import mount_all

            mount_all(table)
        os.environ.update(parameters["environment"])
        if virtual:
            from testbed.keeper.chance import begin

            begin(virtual["seed"])
        if modprobe := parameters["modprobe"]:
            os.posix_spawn(modprobe[0], modprobe, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        _run(parameters)
    except BaseException:  # noqa: BLE001  process 1 must not end by itself
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        # Switching off would throw away what the console has not sent yet.
        import termios

        termios.tcdrain(2)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        switch_off()


def _read(path: str) -> dict[str, Any]:
    import json

    with open(path, "rb") as file:  # noqa: PTH123
        parameters: dict[str, Any] = json.load(file)
    return parameters


def switch_off() -> None:
    """End the guest now; the emulator exits with it."""
    try:
        with open("/proc/sysrq-trigger", "w") as file:  # noqa: PTH123
            file.write("b")
    finally:
        import ctypes

        ctypes.CDLL(None).reboot(0x01234567)


def _run(parameters: dict[str, Any]) -> None:
    # asyncio does without ssl, whose import takes 60 ms here.
    sys.modules["ssl"] = None  # type: ignore[assignment]
    import asyncio

    del sys.modules["ssl"]
    # A host name is among what the kernel's random numbers depend on.
    _set_up(NAMELESS if parameters["virtual"] else parameters["name"])
    if not parameters["virtual"]:
        asyncio.run(_serve(parameters))
        return
    from testbed.keeper.clock import VirtualLoop

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_serve(parameters))


def _set_up(name: str) -> None:
    import fcntl
    import resource
    import socket
    import struct

    for directory in ("/run/node", "/run/lock"):
        os.mkdir(directory)  # noqa: PTH102
    socket.sethostname(name)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILE_LIMIT, FILE_LIMIT))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        up = struct.pack("16sh22x", b"lo", 0x1 | 0x40)  # struct ifreq; IFF_UP | IFF_RUNNING
        fcntl.ioctl(control, 0x8914, up)  # SIOCSIFFLAGS
    for path, value in SETTINGS.items():
        try:
            with open(f"/proc/sys/{path}", "w") as file:  # noqa: PTH123
                file.write(value)
        except OSError:
            continue  # not every kernel has each of them


def control_port(path: str) -> int:
    """Open the control port."""
    if path:
        port = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        _make_transparent(port)
        return port
    ports = [entry for entry in os.listdir("/dev") if entry.startswith("vport")]  # noqa: PTH208
    if not ports:
        raise FileNotFoundError("the control port is missing: no /dev/vport*")
    return os.open(f"/dev/{ports[0]}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def _make_transparent(port: int) -> None:
    """Make a terminal pass every byte as it is, and nothing back."""
    import termios

    _, _, control, _, speed_in, speed_out, special = termios.tcgetattr(port)
    special[termios.VMIN], special[termios.VTIME] = 1, 0
    flags = control & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    termios.tcsetattr(port, termios.TCSANOW, [0, 0, flags, 0, speed_in, speed_out, special])


async def _serve(parameters: dict[str, Any]) -> None:
    import asyncio
    import importlib
    import signal

    from testbed.guest.mux import Mux, streams

    module, _, name = parameters["keeper"].partition(":")
    keeper = getattr(importlib.import_module(module), name)(
        parameters["name"], **_wired(parameters)
    )
    tasks: set[asyncio.Task[None]] = set()

    def accept(channel: Channel) -> None:
        task = asyncio.get_running_loop().create_task(serve(*streams(channel)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await keeper.serve_connection(reader, writer)
        finally:
            writer.close()

    virtual = parameters["virtual"]
    mux = Mux(
        accept=accept,
        clock=set_clock,
        abandon=getattr(keeper, "abandon", None),
        acknowledges=bool(parameters["port"]) and not virtual,
    )
    if hasattr(keeper, "child_ended"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, keeper.child_ended)
    if virtual:
        port = await _attach_virtual(mux, keeper, parameters)
    else:
        port = await _attach(mux, parameters["port"])
    mux.send_clock(b"")
    await keeper.wait_stopped()
    if tasks:
        await asyncio.wait(tasks, timeout=LAST_WORDS_S)
    await mux.drained()
    _say_farewell(port, is_terminal=bool(parameters["port"]))


def _say_farewell(port: int, *, is_terminal: bool) -> None:
    """Close channel 0, which nobody has, once the host has taken all before it."""
    from testbed.guest.channel import FRAME, FrameType

    os.set_blocking(port, True)  # a blocking write returns when the host has taken it
    os.write(port, FRAME.pack(FrameType.CLOSE, 0, 0))
    if is_terminal:
        import termios

        termios.tcdrain(port)


def _wired(parameters: dict[str, Any]) -> dict[str, Any]:
    """What the keeper has to know of host interfaces, where there are any."""
    if not parameters["wires"]:
        return {}
    from testbed.kernel import namespace
    from testbed.kernel.host_interfaces import Outside

    return {"outside": Outside(namespace.current(), parameters["wires"])}


def set_clock(payload: bytes) -> None:
    """Set the clock to the host's."""
    import struct
    import time

    time.clock_settime(time.CLOCK_REALTIME, struct.unpack("!d", payload)[0])


async def _attach(mux: Mux, path: str) -> int:
    import asyncio

    port = control_port(path)
    loop = asyncio.get_running_loop()
    outgoing = os.fdopen(os.dup(port), "wb", 0)
    writer, _ = await loop.connect_write_pipe(mux.writer_protocol, outgoing)
    mux.use_writer(writer)
    await loop.connect_read_pipe(lambda: mux, os.fdopen(port, "rb", 0))
    return port


async def _attach_virtual(mux: Mux, keeper: Any, parameters: dict[str, Any]) -> int:
    """Write to the control port; what is read there only says that there is something to read."""
    import asyncio

    from testbed.keeper.clock import VirtualClock, VirtualLoop

    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    port = control_port(parameters["port"])
    outgoing = os.fdopen(os.dup(port), "wb", 0)
    writer, _ = await loop.connect_write_pipe(mux.writer_protocol, outgoing)
    mux.use_writer(writer)
    virtual = parameters["virtual"]
    clock = VirtualClock(virtual["seed"], virtual["inbox"], mux)
    loop.add_reader(port, lambda: clock.rung(os.read(port, 4096)))
    keeper.clock = clock
    loop.use(clock)
    return port
