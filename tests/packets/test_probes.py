"""`reach` and throughput on a real testbed: two racks, 1 Gbit/s and 10 ms to the WAN and Region."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.errors import NetworkError
from testbed.testing import Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/two-racks.yaml")]
TOPOLOGIES = Path(__file__).parents[2] / "topologies"
DROP = "table ip t { chain c { type filter hook input priority 0; tcp dport 80 drop; }; }"


def cli(testbed: Testbed, *words: str) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-c", "from testbed.cli import main; main()", *words]
    return subprocess.run(
        [*argv, "-n", testbed.name], capture_output=True, check=False, timeout=200
    )


def test_packets_do_what_the_rules_say(testbed: Testbed) -> None:
    rows = testbed.reach()
    assert all(row.agrees for row in rows)
    assert {row.reached for row in rows} == {True, False}
    assert None not in {row.predicted for row in rows}
    blocked = {(r.request.source, r.request.destination) for r in rows if not r.reached}
    assert blocked == {("c", "desk"), ("desk", "c")}


def test_a_difference_is_found_and_exits_with_1(testbed: Testbed) -> None:
    testbed["b"].run(["nft", DROP])
    try:
        done = cli(testbed, "reach", "a", "--to", "b", "--tcp", "80", "--icmp", "--json")
    finally:
        testbed["b"].run(["nft", "delete table ip t"])
    assert done.returncode == 1
    result = json.loads(done.stdout)
    (wrong,) = [row for row in result["requests"] if not row["agrees"]]
    assert (wrong["protocol"], wrong["measured"], wrong["predicted"]) == ("tcp", "silent", True)
    assert result["disagreements"] == 1
    assert cli(testbed, "reach", "a", "--to", "b", "--tcp", "80", "--matrix").returncode == 0


def test_a_closed_port_is_reached(testbed: Testbed) -> None:
    (row,) = testbed.reach(["a"], ["b"], tcp=[81])
    assert (row.measured, row.reached, row.predicted) == ("refused", True, True)


def test_other_rules_give_another_answer(testbed: Testbed) -> None:
    testbed.apply(TOPOLOGIES / "two-racks-blocked.yaml")
    (row,) = testbed.reach(["a"], ["b"], icmp=True)
    assert not row.reached
    assert row.agrees
    assert "Outposts do not reach each other" in row.reason


def test_the_prediction_is_of_what_runs_not_of_its_file(testbed: Testbed, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    text = (TOPOLOGIES / "two-racks.yaml").read_text()
    file.write_text(text)
    testbed.apply(file)
    file.write_text(text.replace("192.168.10.10", "192.168.10.11"))
    addresses = {str(row.request.address) for row in testbed.reach(icmp=True)}
    assert "192.168.10.10" in addresses
    assert "192.168.10.11" not in addresses


@pytest.mark.testbed(time="real")
def test_throughput_and_what_limits_it(testbed: Testbed) -> None:
    result = testbed["a"].throughput("b", seconds=2, udp_mbps=5)
    assert result.sent_mbps == pytest.approx(5, rel=0.2)
    assert result.received_mbps <= result.sent_mbps
    assert result.packets
    assert result.limit is None
    assert result.rtt_idle_ms is not None
    assert result.rtt_idle_ms.min >= 4  # 2 ms each way over the WAN


@pytest.mark.testbed(time="real")
def test_a_full_link_is_named(testbed: Testbed, tmp_path: Path) -> None:
    file = tmp_path / "slow.yaml"
    text = (TOPOLOGIES / "two-racks.yaml").read_text()
    file.write_text(text.replace("wan: {delay: 2ms, rate: 1G}", "wan: {delay: 2ms, rate: 20M}"))
    testbed.apply(file)
    result = testbed["a"].throughput("b", seconds=4)
    assert 10 < result.received_mbps < 21
    assert result.limit is not None
    assert result.limit.rate_mbps == 20  # the link to the WAN, or the one from it: both are full
    assert result.rtt_loaded_ms is not None
    assert result.rtt_idle_ms is not None
    assert result.tcp_rtt_ms is not None
    assert result.tcp_rtt_ms.avg > 2 * result.rtt_idle_ms.avg  # in the full link's queue
    back = json.loads(cli(testbed, "perf", "a", "b", "-t", "2s", "-R", "--json").stdout)
    assert 5 < back["received_mbps"] < 21


@pytest.mark.testbed(time="real")
def test_a_port_that_is_blocked(testbed: Testbed) -> None:
    testbed["b"].run(["nft", DROP.replace("80", "5201")])
    try:
        with pytest.raises(NetworkError, match="iperf3") as caught:
            testbed["a"].throughput("b", seconds=1)
    finally:
        testbed["b"].run(["nft", "delete table ip t"])
    assert "must allow TCP and UDP 5201" in str(caught.value.hint)


@pytest.mark.testbed(time="real")
def test_a_port_that_is_taken(testbed: Testbed) -> None:
    with pytest.raises(NetworkError, match="cannot listen on port 80"):
        testbed["a"].throughput("b", seconds=1, port=80)
