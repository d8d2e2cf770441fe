"""Capturing packets on any number of interfaces at once, streamed back as pcapng.

The keeper opens the sockets, so that nothing is missed from the moment it
says so; one process in the testbed reads them all (`testbed.programs.capture`).
"""

from __future__ import annotations

import io
import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import __version__
from testbed.control.frames import message_of
from testbed.control.protocol import Frame
from testbed.errors import HostError, TestbedError
from testbed.probes.capture_filter import compile_filter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from testbed.control.client import Client
    from testbed.probes.capture_points import Point

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Count:
    """What was captured on an interface: packets and their bytes.

    `dropped` packets passed the filter, but came faster than they could be read.
    """

    node: str
    interface: str
    packets: int
    bytes: int
    dropped: int


class LiveCapture:
    """A capture that runs: pieces of a pcapng file, until it is stopped or ends by itself.

    It ends with the `count`-th packet, or after `seconds` of the testbed's
    own time. `comment` goes into the file; `notes` are what a user has to know.
    """

    def __init__(
        self,
        client: Client,
        points: Sequence[Point],
        filter: str = "",  # noqa: A002 - what tcpdump calls it
        *,
        count: int | None = None,
        seconds: float | None = None,
        comment: str = "",
    ) -> None:
        self.points = points
        programs, self.notes = compile_filter(client, points, filter)
        self._process = client.capture(
            {
                "interfaces": [point.to_json() for point in points],
                "filters": programs,
                "filter": filter,
                "count": count,
                "seconds": seconds,
                "comment": comment,
                "application": f"testbed {__version__}",
            }
        )
        try:
            self._wait_for_start()
            if seconds is not None:
                self._process.drive(clock=True)
        except BaseException:
            self.close()
            raise

    def _wait_for_start(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while frame := self._receive(deadline):
            if frame[0] is Frame.MESSAGE and message_of(frame[1]).get("event") == "capturing":
                return
            self._process.take(*frame)
        raise HostError("the testbed ended before it captured")

    def _receive(self, deadline: float | None = None) -> tuple[Frame, bytes] | None:
        try:
            return self._process.connection.receive(deadline)
        except TimeoutError:
            raise HostError(f"no capture within {START_TIMEOUT_S:g} s") from None

    def read(self) -> bytes | None:
        """The next piece, as soon as there is one; None when the capture is over."""
        while self._process.returncode is None:
            frame = self._receive()
            if frame is None:
                raise HostError("the testbed ended during a capture")
            if data := self._process.take(*frame):
                return data
        if self._process.returncode:
            said = self._process.stderr.decode(errors="replace").strip()
            raise HostError("the capture has failed", hint=said or None)
        return None

    def stop(self) -> None:
        """Have it end with what has come until now; any thread may say so."""
        self._process.drive(clock=True)  # it needs a moment of the testbed's time
        self._process.close_stdin()

    def counts(self) -> list[Count]:
        """What was captured on each interface, once it is over."""
        rows = json.loads(self._process.stderr.decode().splitlines()[-1])["counts"]
        return [
            Count(point.node, point.interface, *row)
            for point, row in zip(self.points, rows, strict=True)
        ]

    def close(self) -> None:
        """Let go of it; what it still had is lost."""
        self._process.connection.close()


class Capture:
    """Packets of some interfaces, from entering the block to leaving it.

    Once the block is entered nothing is missed; leaving waits until what was
    seen is there. Then `pcap` has the bytes and `packets` the packets as
    Scapy reads them, in the order of their times: ``sniffed_on`` is a
    packet's interface (``node:interface``), ``direction`` 1 in, 2 out.
    """

    def __init__(
        self,
        client: Client,
        points: Sequence[Point],
        filter: str = "",  # noqa: A002
    ) -> None:
        self._client = client
        self._points = points
        self._filter = filter
        self._data = bytearray()
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._packets: Any = None
        self._counts: list[Count] = []

    def __enter__(self) -> Self:
        self._live = LiveCapture(self._client, self._points, self._filter)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._live.stop()
            if not self._ended.wait(STOP_TIMEOUT_S) and kind is None:
                raise HostError("a capture does not end", hint="see testbed status")
            if isinstance(self._failure, TestbedError) and kind is None:
                raise self._failure
            if self._failure is not None and kind is None:
                raise HostError(f"a capture has failed: {self._failure!r}")
        finally:
            if self._ended.is_set():
                self._reader.join()
            self._live.close()

    @property
    def pcap(self) -> bytes:
        """The capture file so far, in pcapng format."""
        return bytes(self._data)

    @property
    def packets(self) -> Any:
        """The packets as a `scapy.plist.PacketList`."""
        if self._packets is None or not self._ended.is_set():
            self._packets = read_packets(self.pcap)
        return self._packets

    @property
    def counts(self) -> list[Count]:
        """How many packets of each interface, once the block has been left."""
        return self._counts

    def save(self, path: str | Path) -> None:
        """Write the capture to a file for Wireshark and others."""
        Path(path).write_bytes(self.pcap)

    def _read(self) -> None:
        """Take in what comes until the end; runs in a thread of its own."""
        try:
            while (data := self._live.read()) is not None:
                self._data += data
            self._counts = self._live.counts()
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            self._failure = error
        self._ended.set()


def read_packets(data: bytes) -> Any:
    """The packets of a capture file's bytes; what is cut off at the end is left out."""
    from testbed.programs.capture.pcapng import complete  # noqa: PLC0415

    return scapy_reader(io.BytesIO(data[: complete(data)[0]])).read_all() if data else []


def scapy_reader(stream: Any) -> Any:
    """Scapy's reader of a capture file, as an iterator over packets."""
    import logging  # noqa: PLC0415

    logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
    import scapy.layers.all  # noqa: PLC0415
    from scapy.utils import PcapReader  # noqa: PLC0415

    assert scapy.layers.all
    return PcapReader(stream)
