"""Captures: places, filters, the file; and HTTP requests, against stand-ins for the network."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader

from testbed.control.client import Client
from testbed.control.protocol import Frame
from testbed.errors import HostError, NetworkError, UsageError
from testbed.probes.capture import Capture, read_packets
from testbed.probes.capture_points import Point, select, split
from testbed.probes.http import get, parse
from testbed.programs.capture import pcapng
from testbed.testing import Testbed, eventually

from .conftest import small_plan
from .fake_keeper import Channel, FakeKeeper

FRAME = bytes.fromhex("020000000001020000000002080045000014000100004001f6e77f0000017f000001")
NS = 1_795_893_033_634_903_193
HEAD = pcapng.section(comment="a comment") + pcapng.interface(1, "a:eth0", "instance a")
PACKET = pcapng.packet(0, NS, FRAME, len(FRAME), pcapng.OUTBOUND)
TCPDUMP = """\
#!/bin/sh
echo "$@" >> {directory}/arguments
case "$*" in
  *nonsense*) echo "tcpdump: can't parse filter expression: syntax error" >&2; exit 1 ;;
  *"-y RAW"*vlan*) echo "tcpdump: no VLAN support for Raw IP" >&2; exit 1 ;;
esac
printf '1\\n6 0 0 262144\\n'
"""

texts = st.text(max_size=40).filter(lambda text: "\0" not in text)
interfaces = st.lists(st.tuples(st.sampled_from((1, 101)), texts, texts), min_size=1, max_size=4)


@given(interfaces, st.data())
def test_scapy_reads_what_is_written(rows: list[tuple[int, str, str]], data: st.DataObject) -> None:
    numbers = st.integers(0, len(rows) - 1)
    times, payloads = st.integers(0, 2**63 - 1), st.binary(max_size=70)
    packets = data.draw(st.lists(st.tuples(numbers, times, payloads, st.sampled_from((1, 2)))))
    blocks = [pcapng.interface(kind, name, text, "icmp") for kind, name, text in rows]
    blocks += [pcapng.packet(n, ns, body, len(body) + 3, way) for n, ns, body, way in packets]
    blocks += [pcapng.statistics(0, 1, 2, 3, 4)]
    file = pcapng.section(comment=rows[0][2], system="Linux", application="x") + b"".join(blocks)
    assert len(file) % 4 == 0
    assert pcapng.complete(file) == (len(file), len(packets))
    read = list(RawPcapNgReader(io.BytesIO(file)))
    assert len(read) == len(packets)
    for (body, meta), (number, ns, expected, way) in zip(read, packets, strict=True):
        assert body == expected
        assert (meta.tshigh << 32) + meta.tslow == ns
        assert meta.tsresol == 10**9
        assert (meta.linktype, meta.wirelen) == (rows[number][0], len(expected) + 3)
        assert (meta.ifname or b"").decode() == rows[number][1]
        assert meta.direction == way


def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes() -> None:
    file = HEAD + PACKET + PACKET
    for end in range(len(file) + 1):
        whole, count = pcapng.complete(file[:end])
        assert whole <= end
        assert count == (end - len(HEAD)) // len(PACKET) if end >= len(HEAD) else count == 0
    assert len(read_packets(file[:-1])) == 1
    assert len(read_packets(b"")) == 0


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_wireshark_reads_names_and_descriptions() -> None:
    words = ["frame.interface_name", "frame.interface_description", "frame.time_epoch"]
    argv = ["tshark", "-r", "-", "-T", "fields", *(part for word in words for part in ("-e", word))]
    done = subprocess.run(argv, input=HEAD + PACKET, capture_output=True, check=True)
    assert done.stdout.decode().split("\t") == ["a:eth0", "instance a", "1795893033.634903193\n"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["cnd1"], ["cnd1:op-a-1", "cnd1:op-a-2", "cnd1:region"]),
        (["cnd1:op-a", "cnd1:op-a.201"], ["cnd1:op-a", "cnd1:op-a.201"]),
        (["a:lo", "a:eth0", "a"], ["a:lo", "a:eth0", "a:wg0"]),
        (["cnd1--region.edge"], ["cnd1:region", "region.edge:cnd1"]),
        (["op-a.lag1"], ["op-a.ond1:up1", "cnd1:op-a-1", "op-a.ond1:up2", "cnd1:op-a-2"]),
    ],
)
def test_places(words: list[str], names: list[str]) -> None:
    assert [point.name for point in select(small_plan(), words)] == names


def test_everything_is_all_cables_and_tunnels() -> None:
    points = select(small_plan(), [])
    assert len(points) == 10
    assert {point.name for point in points if point.raw} == {"a:wg0", "region.edge:wg0"}
    described = {point.name: point.description for point in points}
    assert described["cnd1:op-a-1"] == "device cnd1: cable to op-a.ond1:up1, member of op-a"
    assert described["a:wg0"] == "instance a: WireGuard tunnel to edge"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("cnd2:x", "no node 'cnd2'"),
        ("cnd1:op-b", "cnd1 has no interface 'op-b'"),
        ("cnd1--a", "no cable between cnd1 and a"),
        ("cnd1--x", "no node 'x'"),
        ("op-a.lag7", "no node"),
    ],
)
def test_places_that_are_none(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        select(small_plan(), split([word], small_plan())[0])


@pytest.mark.parametrize(
    ("words", "places", "expression"),
    [
        ("icmp", [], "icmp"),
        ("a cnd1:region tcp port 80", ["a", "cnd1:region"], "tcp port 80"),
        ("cnd1--a", ["cnd1--a"], ""),
        ("cnd1 host 10.0.0.1 or a", ["cnd1"], "host 10.0.0.1 or a"),
        ("ether[0] & 1 = 0", [], "ether[0] & 1 = 0"),
    ],
)
def test_where_the_filter_begins(words: str, places: list[str], expression: str) -> None:
    assert split(words.split(), small_plan()) == (places, expression)


@pytest.fixture
def tcpdump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tcpdump that compiles; its arguments are noted in the file that is returned."""
    program = tmp_path / "tcpdump"
    program.write_text(TCPDUMP.format(directory=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path / "arguments"


@pytest.fixture
def capturing(keeper: FakeKeeper) -> FakeKeeper:
    """A fake keeper that sees one packet at once, and one when it is told to end."""

    def capture(channel: Channel, request: dict[str, Any]) -> dict[str, Any]:
        channel.send({"event": "capturing"})
        channel.stream(Frame.STDOUT, HEAD + PACKET)
        if not request["count"]:
            while channel.receive() != (Frame.STDIN, b""):
                pass
            channel.stream(Frame.STDOUT, PACKET[:7])
            channel.stream(Frame.STDOUT, PACKET[7:])
        counts = [[2, 68, 0]] * len(request["interfaces"])
        channel.stream(Frame.STDERR, json.dumps({"counts": counts}).encode() + b"\n")
        return {"returncode": 0}

    keeper.replies["capture"] = capture
    return keeper


def test_what_was_still_on_its_way_is_there(capturing: FakeKeeper, tmp_path: Path) -> None:
    with Testbed("demo").capture("a:eth0") as capture:
        pass
    assert len(capture.packets) == 2
    assert capture.packets[0]["IP"].src == "127.0.0.1"
    assert capture.packets[0].sniffed_on == "a:eth0"
    assert float(capture.packets[0].time) == pytest.approx(NS / 1e9)
    assert capture.counts[0].packets == 2
    capture.save(tmp_path / "file.pcapng")
    assert (tmp_path / "file.pcapng").read_bytes() == HEAD + PACKET + PACKET


def test_filters_are_compiled_by_link_type(capturing: FakeKeeper, tcpdump: Path) -> None:
    points = [Point("a", "eth0"), Point("a", "wg0", raw=True)]
    with Capture(Client("demo"), points, "icmp and -host"):
        pass
    assert tcpdump.read_text().splitlines() == [
        "-i lo -ddd -s 262144 -- icmp and -host",
        "-y RAW -ddd -s 262144 -- icmp and -host",
    ]
    request = next(entry for entry in capturing.requests if entry["op"] == "capture")
    assert request["filters"] == {"1": [[6, 0, 0, 262144]], "101": [[6, 0, 0, 262144]]}


def test_a_filter_that_is_refused(capturing: FakeKeeper, tcpdump: Path) -> None:
    with pytest.raises(UsageError, match="filter 'nonsense': syntax error"):
        Testbed("demo").capture("a:eth0", filter="nonsense").__enter__()
    with pytest.raises(UsageError, match="no VLAN support for Raw IP"):
        Testbed("demo").capture("a:wg0", filter="vlan").__enter__()


def test_the_blocks_own_error_wins(capturing: FakeKeeper) -> None:
    with pytest.raises(ZeroDivisionError), Testbed("demo").capture("a"):
        raise ZeroDivisionError


def test_a_capture_that_fails_is_no_empty_one(keeper: FakeKeeper) -> None:
    def fail(channel: Channel, _: dict[str, Any]) -> dict[str, Any]:
        channel.send({"event": "capturing"})
        channel.stream(Frame.STDERR, b"killed\n")
        return {"returncode": 137}

    keeper.replies["capture"] = fail
    with pytest.raises(HostError, match="has failed") as caught, Testbed("demo").capture("a"):
        pass
    assert caught.value.hint == "killed"


def test_packets_are_printed(call: Callable[..., Result], capturing: FakeKeeper) -> None:
    result = call("capture", "a:eth0", "--count", "1")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    assert line.split()[1:5] == ["a:eth0", ">", "Ether", "/"]
    assert "2 packets captured" in result.stderr


def test_a_file_is_written(
    call: Callable[..., Result], capturing: FakeKeeper, tcpdump: Path, tmp_path: Path
) -> None:
    file = tmp_path / "x.pcapng"
    result = call("capture", "a", "vlan", "-c", "1", "--for", "2s", "-w", str(file), "--json")
    assert result.exit_code == 0
    assert file.read_bytes() == HEAD + PACKET
    assert "note: nothing passes inside tunnels" in result.stderr
    summary = json.loads(result.stdout)
    assert summary["packets"] == 4
    assert summary["interfaces"][0] == {
        "node": "a", "interface": "eth0", "packets": 2, "bytes": 68, "dropped": 0,
    }  # fmt: skip
    request = next(entry for entry in capturing.requests if entry["op"] == "capture")
    assert (request["count"], request["seconds"]) == (1, 2.0)
    assert request["comment"].splitlines() == ["testbed demo", "testbed capture a vlan"]


def test_standard_output_gets_the_file(call: Callable[..., Result], capturing: FakeKeeper) -> None:
    assert call("capture", "a:eth0", "-c", "1", "-w", "-").stdout_bytes == HEAD + PACKET


def test_fewer_than_asked_for_is_a_failure(
    call: Callable[..., Result], capturing: FakeKeeper
) -> None:
    assert call("capture", "a:eth0", "-c", "3", "--for", "1s").exit_code == 1


def test_wireshark_is_started(
    call: Callable[..., Result],
    capturing: FakeKeeper,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("testbed.render.wireshark.PROGRAM", "no-wireshark")
    missing = call("capture", "a:eth0", "--wireshark")
    assert missing.exit_code == 3
    assert "install the package wireshark" in missing.stderr
    program = tmp_path / "wireshark"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\ncat > {tmp_path}/got\n')
    program.chmod(0o755)
    monkeypatch.setattr("testbed.render.wireshark.PROGRAM", str(program))
    assert call("capture", "a:eth0", "-c", "1", "--wireshark").exit_code == 0
    eventually(lambda: (tmp_path / "got").exists() and (tmp_path / "got").read_bytes())
    assert (tmp_path / "got").read_bytes() == HEAD + PACKET
    assert (tmp_path / "said").read_text() == "-k -i -\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-w", "x", "--wireshark"), "excludes -w"),
        (("-w", "-", "--json"), "standard output"),
        (("-w", "/nowhere/x"), "cannot write /nowhere/x: no such file or directory"),
        (("--for", "soon"), "not a length of time"),
        (("nope:eth0",), "no node 'nope'"),
    ],
)
def test_wrong_usage(
    words: tuple[str, ...], message: str, call: Callable[..., Result], capturing: FakeKeeper
) -> None:
    result = call("capture", *words)
    assert result.exit_code == 2
    assert message in result.stderr


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
