"""Capturing packets in a node with tcpdump, streamed back as they come."""

from __future__ import annotations

import re
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.errors import HostError, NetworkError
from testbed.protocol import Frame

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from testbed.client import Client

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.02
LISTENING = "listening on"
_COUNTS = re.compile(
    rb"(\d+) packets? captured\D+(\d+) packets? received by filter\D+(\d+) packets? dropped"
)


class Capture:
    """Packets of one interface, from entering the block to leaving it.

    Entering waits until tcpdump really listens; leaving waits until it has
    written everything that its filter received. Then `pcap` has the bytes and
    `packets` the packets as Scapy reads them.
    """

    def __init__(
        self,
        client: Client,
        node: str,
        interface: str = "eth0",
        filter: str = "",  # noqa: A002
    ) -> None:
        self.node = node
        self.interface = interface
        argv = ["tcpdump", "-i", interface, "-n", "-U", "--immediate-mode", "-Z", "root", "-w", "-"]
        self._argv = [*argv, "--", filter] if filter else argv
        self._client = client
        self._data = bytearray()
        self._stderr = b""
        self._changed = threading.Condition()
        self._ended = False
        self._failure: BaseException | None = None
        self._packets: Any = None

    def __enter__(self) -> Self:
        self._process = self._client.popen(self.node, self._argv, until=LISTENING)
        self._process.close_stdin()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._wait(lambda: LISTENING.encode() in self._stderr, START_TIMEOUT_S):
            self._close()
            raise self._error("does not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._settle()
            self._process.drive(clock=True)  # it waits for the kernel to let go of its socket
            self._process.signal(signal.SIGINT)
            if not self._wait(lambda: self._ended, STOP_TIMEOUT_S) and kind is None:
                raise self._error("does not end")
            if self._failure is not None and kind is None:
                raise self._failure
        finally:
            self._close()

    @property
    def pcap(self) -> bytes:
        """The capture file so far, in pcap format."""
        with self._changed:
            return bytes(self._data)

    @property
    def packets(self) -> Any:
        """The packets as a `scapy.plist.PacketList`."""
        if self._packets is None or not self._ended:
            import io  # noqa: PLC0415
            import logging  # noqa: PLC0415

            logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
            import scapy.layers.all  # noqa: PLC0415
            from scapy.utils import rdpcap  # noqa: PLC0415

            assert scapy.layers.all
            self._packets = rdpcap(io.BytesIO(self.pcap))
        return self._packets

    def save(self, path: str | Path) -> None:
        """Write the capture to a file for Wireshark and others."""
        Path(path).write_bytes(self.pcap)

    def _read(self) -> None:
        """Take in what tcpdump writes until it ends; runs in a thread of its own."""
        try:
            while self._process.returncode is None:
                frame = self._process.connection.receive()
                if frame is None:
                    self._failure = HostError("the testbed ended during a capture")
                    break
                data = self._process.take(*frame)
                with self._changed:
                    self._data += data
                    if frame[0] is Frame.STDERR:
                        self._stderr = bytes(self._process.stderr)
                    self._changed.notify_all()
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            self._failure = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _wait(self, condition: Any, timeout: float) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: condition() or self._ended, timeout)
            return bool(condition())

    def _settle(self) -> None:
        """Wait until tcpdump has written what its filter has received, by its own counts."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline and not self._ended:
            seen = len(_COUNTS.findall(self._stderr))
            self._process.signal(signal.SIGUSR1)
            if not self._wait(
                lambda seen=seen: len(_COUNTS.findall(self._stderr)) > seen, POLL_S * 50
            ):
                continue
            captured, received, dropped = map(int, _COUNTS.findall(self._stderr)[-1])
            if captured >= received - dropped:
                return
            time.sleep(POLL_S)

    def _error(self, what: str) -> Exception:
        if self._failure is not None and not isinstance(self._failure, OSError):
            return self._failure if isinstance(self._failure, Exception) else HostError(what)
        said = self._stderr.decode(errors="replace").strip()
        message = f"tcpdump on {self.interface} of {self.node} {what}"
        return NetworkError(message, hint=said or None)

    def _close(self) -> None:
        """End tcpdump if it still runs, and the reader with it."""
        if not self._ended:
            self._process.signal(signal.SIGKILL)
            self._wait(lambda: self._ended, STOP_TIMEOUT_S)
        if self._ended:
            self._reader.join()
        self._process.connection.close()
