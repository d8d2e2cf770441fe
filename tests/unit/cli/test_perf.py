"""`testbed perf` against a stand-in for iperf3 and ping."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from testbed.errors import UsageError
from testbed.probes.ping import PingResult
from testbed.probes.throughput import LinkUse, Throughput, parse_rate
from testbed.render.throughput import lines

from .fake_keeper import FakeKeeper

PING = """\
3 packets transmitted, 3 received, 0% packet loss, time 0ms
rtt min/avg/max/mdev = 0.009/0.019/0.038/0.013 ms
"""
SUM = {"seconds": 2.0, "bits_per_second": 9e8, "retransmits": 3}
UDP = {"packets": 1000, "lost_packets": 250, "jitter_ms": 0.5}
IPERF = """\
#!/bin/sh
echo "$@" >> {directory}/arguments
case "$1" in
  -s) echo "Server listening on 5201"; trap 'exit 0' INT; while :; do sleep 0.01; done ;;
  *) cat {directory}/report ;;
esac
"""
Install = Callable[[dict[str, Any]], Path]


@pytest.fixture
def iperf3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeper: FakeKeeper) -> Install:
    hello = keeper.replies["hello"]
    keeper.replies["hello"] = lambda *args: {
        **(hello(*args) or {}),
        "clock": {"time": "real", "elapsed_s": 1.0},
    }
    (tmp_path / "ping.out").write_text(PING)
    for name, text in (("iperf3", IPERF), ("ping", "#!/bin/sh\ncat {directory}/ping.out\n")):
        program = tmp_path / name
        program.write_text(text.format(directory=tmp_path))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def install(report: dict[str, Any]) -> Path:
        (tmp_path / "report").write_text(json.dumps(report))
        return tmp_path / "arguments"

    return install


def test_tcp(call: Callable[..., Result], iperf3: Install) -> None:
    rtts = [{"min_rtt": 300, "mean_rtt": n, "max_rtt": 2 * n} for n in (400, 800)]
    streams = [{"sender": rtt} for rtt in rtts]
    end = {"sum_sent": SUM, "sum_received": {"bits_per_second": 8e8}, "streams": streams}
    arguments = iperf3({"end": end})
    result = call("perf", "cnd1", "a", "-t", "2s", "-P", "2", "-R", "--json")
    assert result.exit_code == 0
    assert "-c 10.77.7.88 -p 5201 -t 2 -J -P 2 --connect-timeout 5000 -R" in arguments.read_text()
    shown = json.loads(result.stdout)
    assert (shown["sent_mbps"], shown["received_mbps"], shown["retransmits"]) == (900, 800, 3)
    assert shown["idle"]["rtt_ms"]["avg"] == 0.019
    assert shown["tcp_rtt_ms"] == {"min": 0.3, "avg": 0.6, "max": 1.6}
    assert (shown["packets"], shown["lost_percent"]) == (None, None)


def test_udp_counts_what_arrived(call: Callable[..., Result], iperf3: Install) -> None:
    end = {"sum_sent": SUM, "sum_received": SUM, "sum": UDP}
    arguments = iperf3({"end": end})
    result = call("perf", "cnd1", "a", "-t", "2", "--udp", "1.2G", "-P", "3", "--json")
    assert "-u -l 1252 -b 400000000" in arguments.read_text()
    shown = json.loads(result.stdout)
    assert (shown["received_mbps"], shown["lost_percent"]) == (675, 25)
    assert shown["retransmits"] is None


@pytest.mark.parametrize("report", [{"error": "unable to connect: timed out"}, {}, {"end": {}}])
def test_no_result_is_a_failure(
    call: Callable[..., Result], iperf3: Install, report: dict[str, Any]
) -> None:
    iperf3(report)
    result = call("perf", "cnd1", "a", "-t", "1")
    assert result.exit_code == 1
    assert "security groups and firewalls" in result.stderr


def test_a_failure_does_not_wait_for_the_pings(
    call: Callable[..., Result], iperf3: Install, tmp_path: Path
) -> None:
    """Those of the load would take a minute."""
    iperf3({"error": "unable to connect: timed out"})
    ping = tmp_path / "ping"
    whole = "i=0; while [ $i -lt 6000 ]; do sleep 0.01; i=$((i + 1)); done"
    whole = f"{whole}; echo > {tmp_path}/waited"
    ping.write_text(f'#!/bin/sh\n[ "$3" != 299 ] || {{ {whole}; }}\ncat {tmp_path}/ping.out\n')
    assert call("perf", "cnd1", "a", "-t", "60").exit_code == 1
    assert not (tmp_path / "waited").exists()


def test_a_table(call: Callable[..., Result], iperf3: Install) -> None:
    iperf3({"end": {"sum_sent": SUM, "sum_received": SUM}})
    output = call("perf", "cnd1", "a", "-t", "1").stdout
    assert "cnd1 to a, TCP" in output
    assert "900Mbit/s" in output


def test_virtual_time_is_refused(
    call: Callable[..., Result], iperf3: Install, keeper: FakeKeeper
) -> None:
    clock = {"time": "virtual", "elapsed_s": 1.0}
    keeper.replies["hello"] = lambda *_: {"name": "demo", "clock": clock}
    result = call("perf", "cnd1", "a")
    assert result.exit_code == 2
    assert "needs real time" in result.stderr


@pytest.mark.parametrize(
    ("text", "mbps"), [("100M", 100), ("1.5g", 1500), ("800K", 0.8), ("2000000", 2)]
)
def test_rates(text: str, mbps: float) -> None:
    assert parse_rate(text) == pytest.approx(mbps)


@pytest.mark.parametrize("text", ["", "fast", "-1M", "0", "1T", "1M/s"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(UsageError, match="is not a rate"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("carried", "text"),
    [
        (95.0, "limited by the link's rate: cnd1:wan carried 95Mbit/s of 100Mbit/s"),
        (20.0, "no link was full: the busiest, cnd1:wan carried 20Mbit/s of 100Mbit/s"),
    ],
)
def test_what_limits(carried: float, text: str) -> None:
    ping = PingResult(1, 1, None, None)
    use = LinkUse("cnd1", "wan", 100.0, carried)
    result = Throughput(
        *("a", "b", "10.0.0.1", "tcp", False, 1, 1.0, carried, carried, 0, None, None, None, None),
        *(ping, ping, use),
    )
    assert list(lines(result)) == [text]
