"""`--testbed-pcap`: everything that passes any node during a test."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.probes.capture import Capture
    from testbed.testing import Testbed

ALL = "any"  # tcpdump's word for all interfaces of a node
SIDE_BY_SIDE = 16


class Recorder:
    """Captures on all interfaces of all nodes of a testbed, until it is stopped."""

    def __init__(self, testbed: Testbed) -> None:
        self._stack = contextlib.ExitStack()
        self._captures: dict[str, Capture] = {}
        captures = {node.name: node.capture(ALL) for node in testbed.nodes}
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            started = {name: pool.submit(entry.__enter__) for name, entry in captures.items()}
        problems = [future.exception() for future in started.values()]
        for name, future in started.items():
            if future.exception() is None:
                self._captures[name] = captures[name]
        if problem := next(filter(None, problems), None):
            self.stop()
            raise problem

    def stop(self) -> dict[str, bytes]:
        """End the captures; the pcap file of each node that saw a packet."""
        captures, self._captures = self._captures, {}
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for capture in captures.values():
                pool.submit(capture.__exit__, None, None, None)
        return {name: capture.pcap for name, capture in captures.items() if _has_packets(capture)}


def _has_packets(capture: Capture) -> bool:
    header = 24  # of the file
    return len(capture.pcap) > header


def save(captures: dict[str, bytes], folder: Path) -> None:
    """Write one file for each node."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pcap in captures.items():
        (folder / f"{name}.pcap").write_bytes(pcap)
