"""What several packet tests watch traffic and daemons with."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from scapy.layers.inet import IP

from testbed.control.client import RemoteProcess
from testbed.testing import Node, Testbed

TIMEOUT_S = 120.0


@contextlib.contextmanager
def captured(
    testbed: Testbed, places: Iterable[tuple[str, str]], expression: str = ""
) -> Iterator[dict[tuple[str, str], Any]]:
    """Packets at several places at once, by (node, interface)."""
    with contextlib.ExitStack() as stack:
        captures = {
            place: stack.enter_context(
                testbed[place[0]].capture(interface=place[1], filter=expression)
            )
            for place in places
        }
        yield captures


def ends(capture: Any) -> set[tuple[str, str]]:
    """The (source, destination) of every IPv4 packet in a capture."""
    return {(packet[IP].src, packet[IP].dst) for packet in capture.packets if IP in packet}


def python(node: Node, code: str, *arguments: str) -> str:
    """Run a piece of Python in a node; its output."""
    return node.run([sys.executable, "-I", "-S", "-c", code, *arguments]).text


def bgp_paths(testbed: Testbed, device: str, protocol: str) -> dict[str, list[int]]:
    """What a BIRD device imported from a session: AS path by prefix."""
    socket = f"/run/node/{device}/bird.ctl"
    command = ["birdc", "-s", socket, "show", "route", "protocol", protocol, "all"]
    paths: dict[str, list[int]] = {}
    prefix = ""
    for line in testbed[device].run(command).text.splitlines():
        word = line.split(" ", 1)[0]
        if "/" in word:
            prefix = word
        elif "BGP.as_path:" in line:
            paths[prefix] = [int(number) for number in line.split(":", 1)[1].split()]
    return paths


def read_until(process: RemoteProcess, text: str) -> str:
    """What a process writes, until it has written `text`."""
    said = ""
    for chunk in process.chunks(time.monotonic() + TIMEOUT_S):
        said += chunk.decode()
        if text in said:
            return said
    raise AssertionError(f"it ended without {text!r}: {said}")


class Flow:
    """A stream of pings from a node, in a `with` block, with what has been answered so far."""

    def __init__(
        self,
        testbed: Testbed,
        node: str,
        address: str,
        *,
        count: int = 200,
        interval_s: float = 0.05,
    ) -> None:
        self._command = ["ping", "-n", "-i", str(interval_s), "-c", str(count), "-W", "1", address]
        self._testbed = testbed
        self._node = node
        self._count = count
        self._output = ""

    def __enter__(self) -> Self:
        self._process = self._testbed.client.popen(self._node, self._command)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.__exit__(kind, error, trace)

    def wait_for(self, number: int) -> None:
        """Wait until a ping with at least this sequence number has been answered."""
        for chunk in self._process.chunks(time.monotonic() + TIMEOUT_S):
            self._output += chunk.decode()
            if any(answered >= number for answered in self._answered()):
                return

    def longest_gap(self) -> int:
        """Wait for the end; the most consecutive pings that were not answered."""
        self._output += self._process.wait(TIMEOUT_S).text
        answered = self._answered()
        pairs = zip([0, *answered], [*answered, self._count + 1], strict=True)
        return max(after - before - 1 for before, after in pairs)

    def _answered(self) -> list[int]:
        return [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", self._output)]
