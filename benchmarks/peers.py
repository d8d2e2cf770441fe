"""The same ring of nodes built by a C program, by the testbed and by Mininet, in turns.

Run by benchmarks/up in a node of a testbed, so in the kernel that testbeds run
in. A request comes as JSON on standard input; on standard output goes a line
of JSON for each run.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import plumbing

from testbed.kernel import messages, namespace
from testbed.kernel.netlink import NetlinkSocket
from testbed.plan.model import Interface, Plan, Veth

DRAIN_S = 120.0
POLL_S = 0.002
QUICK = 4  # so many turns of the quick ways to one of a slow one
MININET = Path(__file__).resolve().parent / "mininet_peer.py"
SENTINEL = "sentinel"

Way = Callable[[int, int], float]


def drain() -> None:
    """Wait until the kernel has removed all namespaces that were let go.

    It removes them in the background, and in order: a cable to a namespace
    let go now disappears after what is in those before. The second time, all
    that is left of the first has been done as well.
    """
    deadline = time.monotonic() + DRAIN_S
    for _ in range(2):
        end = Interface(SENTINEL, Veth("", SENTINEL))
        with NetlinkSocket() as home:
            with namespace.preserved():
                namespace.create()
                far = namespace.current()
            home.send([messages.create_veth(end, 0, end, 0, far, up=False)])
            os.close(far)
        while _exists(SENTINEL):
            if time.monotonic() > deadline:
                raise SystemExit("namespaces of the run before are not removed")
            time.sleep(POLL_S)


def _exists(interface: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(socket.if_nametoindex(interface))
    return False


def by_testbed(plan: Plan) -> Way:
    """The testbed's own way, for one plan."""
    return lambda _nodes, _links: plumbing.testbed(plan) * 1000


def by_program(*argv: str) -> Way:
    """A program that prints its milliseconds, as a way."""

    def run(nodes: int, links: int) -> float:
        done = subprocess.run(
            [*argv, str(nodes), str(links)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{argv[-1]}: {(done.stderr or done.stdout).strip()}")
        return float(done.stdout)

    return run


@contextlib.contextmanager
def executable(content: bytes) -> Iterator[str]:
    """The path of a file in memory with this content, for as long as the block lasts."""
    descriptor = os.memfd_create("floor", 0)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)


def run_size(nodes: int, links: int, ways: dict[str, Way], request: dict[str, Any]) -> None:
    """All ways in turns; a slow one has fewer of them, and none once its time is used up."""
    spent = dict.fromkeys(ways, 0.0)
    for turn in range(request["repeat"] * QUICK):
        for name, way in ways.items():
            slow = name == "mininet"
            if slow and turn and (turn >= request["repeat"] or spent[name] > request["budget_ms"]):
                continue
            drain()
            ms = way(nodes, links)
            spent[name] += ms
            print(json.dumps({"nodes": nodes, "links": links, "way": name, "ms": ms}), flush=True)


def main() -> None:
    """Do what the request says."""
    request = json.load(sys.stdin)
    namespace.raise_file_limit()
    plumbing.testbed(plumbing.make_plan(4, 4))  # the first one loads modules and libraries
    with contextlib.ExitStack() as stack:
        ways: dict[str, Way] = {}
        if request["floor"]:
            path = stack.enter_context(executable(base64.b64decode(request["floor"])))
            ways["floor"] = by_program(path)
        for nodes, links in request["sizes"]:
            ways["testbed"] = by_testbed(plumbing.make_plan(nodes, links))
            if request["mininet"]:
                ways["mininet"] = by_program(request["mininet"], str(MININET))
            run_size(nodes, links, ways, request)
        drain()


if __name__ == "__main__":
    main()
