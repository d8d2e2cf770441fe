"""`--testbed-pcap`: everything that passes any cable or tunnel during a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.testing import Testbed


class Recorder:
    """Captures on all cables and tunnels of a testbed, until it is stopped."""

    def __init__(self, testbed: Testbed) -> None:
        self._capture = testbed.capture()
        self._capture.__enter__()
        self._ended = False

    def stop(self) -> bytes:
        """End the capture; its pcapng file."""
        if not self._ended:
            self._ended = True
            self._capture.__exit__(None, None, None)
        return self._capture.pcap


def save(pcap: bytes, path: Path) -> None:
    """Write the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pcap)
