"""Captures and HTTP requests against stand-ins for tcpdump and the network."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from testbed.client import Client
from testbed.errors import NetworkError, UsageError
from testbed.probes.capture import Capture
from testbed.probes.http import get, parse

from .fake_keeper import FakeKeeper

HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
FRAME = bytes.fromhex("020000000001020000000002080045000014000100004001f6e77f0000017f000001")
RECORD = struct.pack("<IIII", 1, 0, len(FRAME), len(FRAME)) + FRAME

# Reports its counts on SIGUSR1: at first one packet behind, which it writes only after that.
TCPDUMP = """\
#!/bin/sh
echo "$@" > {directory}/arguments
seen=0
report() {{
  echo "1 packet captured" >&2
  if [ $seen = 0 ]; then
    seen=1
    echo "2 packets received by filter" >&2
    echo "0 packets dropped by kernel" >&2
  else
    cat {directory}/record
    echo "1 packet received by filter" >&2
    echo "0 packets dropped by kernel" >&2
  fi
}}
trap report USR1
trap 'exit 0' INT
cat {directory}/header {directory}/record
echo "tcpdump: listening on eth0, link-type EN10MB" >&2
while :; do sleep 0.01; done
"""


@pytest.fixture
def tcpdump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    (tmp_path / "header").write_bytes(HEADER)
    (tmp_path / "record").write_bytes(RECORD)

    def install(script: str) -> Path:
        program = tmp_path / "tcpdump"
        program.write_text(script.format(directory=tmp_path))
        program.chmod(0o755)
        return tmp_path / "arguments"

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return install


def test_waits_for_packets_that_tcpdump_still_holds(
    keeper: FakeKeeper, tcpdump: Callable[[str], Path], tmp_path: Path
) -> None:
    arguments = tcpdump(TCPDUMP)
    with Capture(Client("demo"), "a", "eth0", "icmp and -host") as capture:
        pass
    assert len(capture.packets) == 2
    assert capture.packets[0]["IP"].src == "127.0.0.1"
    assert arguments.read_text().split()[-4:] == ["--", "icmp", "and", "-host"]
    capture.save(tmp_path / "file.pcap")
    assert (tmp_path / "file.pcap").read_bytes() == HEADER + RECORD + RECORD


def test_a_filter_that_is_refused(keeper: FakeKeeper, tcpdump: Callable[[str], Path]) -> None:
    tcpdump("#!/bin/sh\necho 'tcpdump: syntax error' >&2\nexit 1\n")
    with pytest.raises(NetworkError) as caught, Capture(Client("demo"), "a", filter="nonsense"):
        pytest.fail("entered the block")
    assert caught.value.hint == "tcpdump: syntax error"


def test_the_blocks_own_error_wins(keeper: FakeKeeper, tcpdump: Callable[[str], Path]) -> None:
    tcpdump(TCPDUMP)
    with pytest.raises(ZeroDivisionError), Capture(Client("demo"), "a"):
        raise ZeroDivisionError


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{self.path} {self.headers['Host']}".encode()
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def test_http(keeper: FakeKeeper) -> None:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        reply = get(Client("demo"), "a", f"{base}/path?q=1")
        assert (reply.status, reply.text) == (200, f"/path?q=1 127.0.0.1:{server.server_port}")
        assert get(Client("demo"), "a", f"{base}/missing").status == 404
        server.shutdown()
    with pytest.raises(NetworkError, match="refused"):
        get(Client("demo"), "a", base)


def test_http_needs_an_answer_and_a_url(keeper: FakeKeeper) -> None:
    with pytest.raises(NetworkError):
        parse(b"")
    for url in ("https://x/", "ftp://x", "http://a b/", "http://x/\r\nEvil: 1"):
        with pytest.raises(UsageError):
            get(Client("demo"), "a", url)
