"""`testbed-launcher`: starts Python programs by forking, in a tenth of an interpreter's time.

The keeper starts it once, with a socket as its standard input. Each message on it is a
program as JSON with descriptors: its standard streams, the namespaces that it is to be in,
and others that it has under the numbers `keep`. The answer is the program's process number.
Programs become children of the keeper, which every process without parent belongs to.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from testbed.kernel import namespace
from testbed.programs import PROGRAMS

LONGEST = 128 * 1024
MOST_DESCRIPTORS = 250
NUMBER = struct.Struct("=i")
STANDARD_STREAMS = 3
# What programs need is imported before they are forked.
USUAL = ("ctypes", "errno", "select", "selectors", "time")


def main(_: list[str]) -> None:
    """Start what the keeper asks for, until it has ended; run the program in each child."""
    for name in (*USUAL, *PROGRAMS.values()):
        import_module(name)
    control = socket.socket(fileno=os.dup(0))
    gc.freeze()  # a collection in a child would copy every page
    while True:
        message, descriptors = socket.recv_fds(control, LONGEST, MOST_DESCRIPTORS)[:2]
        if not message:
            return
        task = json.loads(message)
        number = start()
        if number is None:
            become(task, descriptors)
            end(task)
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(NUMBER.pack(number))


def start() -> int | None:
    """Fork a process without a parent, in a session and group of its own.

    Return its number; None in that process.
    """
    inward, outward = os.pipe()
    child = os.fork()
    if child:
        os.close(outward)
        os.waitpid(child, 0)  # from now on the program is the keeper's child
        number = NUMBER.unpack(os.read(inward, NUMBER.size))[0]
        os.close(inward)
        return int(number)
    os.setsid()
    if grandchild := os.fork():
        os.setpgid(grandchild, grandchild)
        os.write(outward, NUMBER.pack(grandchild))
        os._exit(0)
    os.close(inward)
    os.close(outward)
    return None


def become(task: dict[str, Any], descriptors: Sequence[int]) -> None:
    """Take on what a program has: streams, descriptors, namespaces, environment."""
    targets = [*range(STANDARD_STREAMS), *task["keep"]]
    first = max(targets) + 1
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, first) for fd in descriptors]
    os.closerange(STANDARD_STREAMS, first)
    for descriptor in descriptors:
        if descriptor >= first:
            os.close(descriptor)
    streams, rest = moved[:STANDARD_STREAMS], moved[STANDARD_STREAMS:]
    count = len(rest) - len(task["keep"])
    for descriptor in rest[:count]:
        namespace.enter(descriptor, 0)
    for descriptor, target in zip([*streams, *rest[count:]], targets, strict=True):
        os.dup2(descriptor, target)
    os.closerange(first, max(moved) + 1)
    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as an interpreter does
    if task["cwd"]:
        os.chdir(task["cwd"])
    os.environ.clear()
    os.environ.update(task["env"])
    with open("/proc/self/comm", "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow to import
        file.write(task["name"][:15])


def end(task: dict[str, Any]) -> NoReturn:
    """Run the program, and end this process with its status.

    What the interpreter would tidy up at its end shares its memory with others.
    """
    status = 0
    try:
        import_module(task["module"]).main(task["argv"])
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if status and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)  # noqa: T201
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)
