"""Captures of many interfaces at once, on real testbeds.

web -- op.vpc-app -- op.lgw -- op.ond1 ==LAG, VLAN== cnd1 -- site.lan-office -- desk
"""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from scapy.utils import rdpcap

from testbed.errors import NetworkError, UsageError
from testbed.testing import Testbed

# In real time, where the packets of one way have times of their own and a ping may flood.
pytestmark = [
    pytest.mark.packets,
    pytest.mark.topology("topologies/rack.yaml"),
    pytest.mark.testbed(time="real"),
]
TOPOLOGIES = Path(__file__).parents[2] / "topologies"
PROGRAM = [sys.executable, "-c", "from testbed.cli import main; main()", "capture"]


def capture(testbed: Testbed, *words: str) -> subprocess.CompletedProcess[bytes]:
    argv = [*PROGRAM, *words, "-n", testbed.name]
    return subprocess.run(argv, capture_output=True, check=False, timeout=120)


def test_a_packets_whole_way_in_order(testbed: Testbed) -> None:
    assert testbed["web"].ping("desk", count=1).ok  # the LAN's bridge floods what it has forgotten
    with testbed.capture(filter="icmp[icmptype] = 8 or icmp[icmptype] = 0") as seen:
        assert testbed["web"].ping("desk", count=1).ok
    way = [packet.sniffed_on for packet in seen.packets]
    assert way[0] == way[-1] == "web:eth0"
    assert len(way) == 24
    assert way[11] == way[12] == "desk:eth0"
    times = [packet.time for packet in seen.packets]
    assert times == sorted(times)
    assert [packet.direction for packet in seen.packets] == [2, 1] * 12
    trunk = [p for p in seen.packets if ":op_" in p.sniffed_on]
    assert len(trunk) == 2
    assert all("Dot1Q" in packet for packet in trunk)
    assert {row.packets for row in seen.counts if row.interface == "eth0"} == {0, 2}


def test_a_vlan_is_filtered_by(testbed: Testbed) -> None:
    with testbed.capture("cnd1--op.ond1", "op.lag2", filter="vlan and icmp") as seen:
        assert testbed["web"].ping("desk", count=3).ok
    assert Counter(":uplink" in packet.sniffed_on for packet in seen.packets) == {
        True: 6,
        False: 6,
    }
    vid = seen.packets[0]["Dot1Q"].vlan
    unused = vid + 2  # the next one may be the other LAG's, by which the answer comes
    with testbed.capture("op.lag1", "op.lag2", filter=f"vlan {unused} and icmp") as other:
        assert testbed["web"].ping("desk", count=1).ok
    assert len(other.packets) == 0


def test_inside_a_tunnel_and_around_it(testbed: Testbed) -> None:
    with testbed.capture("op.sl:wg1", "op.sl:wg2", "op.host1", "op.host2") as seen:
        assert testbed["web"].ping("db", count=1, size=999).ok
    inner = [p for p in seen.packets if ":wg" in p.sniffed_on and len(p) > 999]
    outer = [p for p in seen.packets if "host" in p.sniffed_on and len(p) > 999]
    assert inner
    assert all(packet.name == "IP" for packet in inner)
    assert all(packet["UDP"].dport == 443 or packet["UDP"].sport == 443 for packet in outer)


def test_nothing_is_lost_by_many(testbed: Testbed) -> None:
    with testbed["desk"].capture(filter="icmp") as seen:
        done = testbed["web"].run(
            ["ping", "-q", "-i", "0.002", "-c", "500", testbed["desk"].address]
        )
    assert b"500 received" in done.stdout
    ways = Counter(packet["ICMP"].type for packet in seen.packets)
    assert ways == {8: 500, 0: 500}
    assert [row.dropped for row in seen.counts] == [0]


def test_it_ends_by_itself(testbed: Testbed) -> None:
    with subprocess.Popen(
        [*PROGRAM, "web", "icmp", "-c", "4", "-w", "-", "-n", testbed.name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr
        assert b"capturing on web:eth0" in process.stderr.readline()
        testbed["web"].ping("desk", count=4)
        output, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"4 packets captured" in said
    assert len(rdpcap(io.BytesIO(output))) == 4


def test_it_is_interrupted_in_good_order(testbed: Testbed, tmp_path: Path) -> None:
    file = tmp_path / "all.pcapng"
    with subprocess.Popen(
        [*PROGRAM, "-w", str(file), "-n", testbed.name], stderr=subprocess.PIPE
    ) as process:
        assert process.stderr
        assert b"capturing on" in process.stderr.readline()
        assert testbed["web"].ping("desk", count=1).ok
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) == 0
    packets = rdpcap(str(file))
    assert sum("ICMP" in packet and packet.sniffed_on == "web:eth0" for packet in packets) == 2
    assert f"{len(packets):,} packets captured in {file}".encode() in said


def test_too_few_in_time(testbed: Testbed) -> None:
    done = capture(testbed, "web", "udp port 9", "-c", "1", "--for", "200ms", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["packets"] == 0


def test_what_can_not_be(testbed: Testbed) -> None:
    with pytest.raises(UsageError, match="syntax error"), testbed.capture(filter="icmp and and"):
        pytest.fail("entered the block")
    with pytest.raises(NetworkError, match="web has no interface eth7 now"):
        testbed["web"].capture("eth7").__enter__()
    assert b"filter 'icmp andd': syntax error" in capture(testbed, "web", "icmp", "andd").stderr


def test_an_interface_that_goes_and_comes_back(testbed: Testbed) -> None:
    with testbed.capture("web", "desk", filter="icmp") as seen:
        testbed.apply(TOPOLOGIES / "first.yaml")
        testbed.restore()
        assert testbed["web"].ping("desk", count=1).ok
    assert seen.counts  # it went on, with what was still there
    with testbed.capture("web", "desk", filter="icmp") as again:
        assert testbed["web"].ping("desk", count=1).ok
    assert len(again.packets) == 4


@pytest.mark.testbed(time="virtual", seed=3)
def test_virtual_time(testbed: Testbed) -> None:
    ping = ["ping", "-D", "-c", "2", "-i", "50", testbed["desk"].address]
    with testbed.capture("web", filter="icmp[icmptype] = 0") as seen:
        said = testbed["web"].run(ping).text
    answers = [float(at) for at in re.findall(r"^\[([\d.]+)\]", said, re.MULTILINE)]
    times = [float(packet.time) for packet in seen.packets]
    assert times == pytest.approx(answers, abs=0.001, rel=0)
    assert times[1] - times[0] >= 50
    done = capture(testbed, "cnd1--region.edge", "tcp port 179", "--for", "5m", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["packets"] > 10
