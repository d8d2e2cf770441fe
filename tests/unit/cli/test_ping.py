"""Reading ping(8)'s output, and the verb around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from testbed.control.client import Client
from testbed.errors import UsageError
from testbed.probes.ping import PingResult, Rtt, parse, ping

from .fake_keeper import FakeKeeper

WORKED = """\
PING 10.0.1.1 (10.0.1.1) 56(84) bytes of data.
64 bytes from 10.0.1.1: icmp_seq=1 ttl=63 time=0.038 ms
64 bytes from 10.0.1.1: icmp_seq=2 ttl=63 time=0.010 ms
64 bytes from 10.0.1.1: icmp_seq=3 ttl=63 time=0.009 ms

--- 10.0.1.1 ping statistics ---
3 packets transmitted, 3 received, 0% packet loss, time 0ms
rtt min/avg/max/mdev = 0.009/0.019/0.038/0.013 ms
"""
TOO_BIG = """\
PING 10.0.1.1 (10.0.1.1) 1273(1301) bytes of data.
From 10.0.0.2 icmp_seq=1 Frag needed and DF set (mtu = 1300)

--- 10.0.1.1 ping statistics ---
3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 0ms
pipe 2
"""
TOO_BIG_STDERR = "ping: local error: message too long, mtu=1300\n" * 2
SILENT = """\
PING 10.0.1.9 (10.0.1.9) 56(84) bytes of data.

--- 10.0.1.9 ping statistics ---
3 packets transmitted, 0 received, 100% packet loss, time 410ms

"""
STRANGER = """\
PING 203.0.113.66 (203.0.113.66) 56(84) bytes of data.
64 bytes from 10.1.10.10: icmp_seq=1 ttl=60 time=8.01 ms (DIFFERENT ADDRESS!)
64 bytes from 10.1.10.10: icmp_seq=2 ttl=60 time=8.01 ms (DIFFERENT ADDRESS!)

--- 203.0.113.66 ping statistics ---
2 packets transmitted, 2 received, 0% packet loss, time 1001ms
rtt min/avg/max/mdev = 8.006/8.006/8.007/0.000 ms
"""
UNREACHABLE = """\
PING 10.9.9.9 (10.9.9.9) 56(84) bytes of data.
From 10.0.0.2 icmp_seq=1 Destination Net Unreachable
From 10.0.0.2 icmp_seq=2 Destination Net Unreachable

--- 10.9.9.9 ping statistics ---
3 packets transmitted, 0 received, +2 errors, 100% packet loss, time 419ms

"""
EXCEEDED = """\
PING 10.0.1.1 (10.0.1.1) 56(84) bytes of data.
From 10.0.0.2 icmp_seq=1 Time to live exceeded

--- 10.0.1.1 ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms
"""
REDIRECTED = """\
PING 10.0.1.1 (10.0.1.1) 56(84) bytes of data.
From 10.0.0.9 icmp_seq=1 Redirect Host(New nexthop: 10.0.0.2)
From 10.0.0.2 icmp_seq=1 Time to live exceeded

--- 10.0.1.1 ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms
"""
SOME_LOST = """\
PING 10.0.1.1 (10.0.1.1) 56(84) bytes of data.
64 bytes from 10.0.1.1: icmp_seq=3 ttl=63 time=0.021 ms
64 bytes from 10.0.1.1: icmp_seq=3 ttl=63 time=0.021 ms (DUP!)

--- 10.0.1.1 ping statistics ---
20 packets transmitted, 11 received, +2 duplicates, 45% packet loss, time 378ms
rtt min/avg/max/mdev = 0.019/0.027/0.042/0.006 ms
"""
WITHOUT_TIMES = """\
PING 10.0.1.1 (10.0.1.1) 0(28) bytes of data.
8 bytes from 10.0.1.1: icmp_seq=1 ttl=63

--- 10.0.1.1 ping statistics ---
1 packets transmitted, 1 received, 0% packet loss, time 0ms

"""


@pytest.mark.parametrize(
    ("stdout", "stderr", "expected"),
    [
        (WORKED, "", PingResult(3, 3, Rtt(0.009, 0.019, 0.038), None)),
        (
            TOO_BIG,
            TOO_BIG_STDERR,
            PingResult(3, 0, None, "Frag needed and DF set (mtu = 1300)", "10.0.0.2"),
        ),
        ("", TOO_BIG_STDERR, PingResult(0, 0, None, "message too long, mtu=1300")),
        (SILENT, "", PingResult(3, 0, None, "no reply")),
        (UNREACHABLE, "", PingResult(3, 0, None, "Destination Net Unreachable", "10.0.0.2")),
        (EXCEEDED, "", PingResult(1, 0, None, "Time to live exceeded", "10.0.0.2")),
        (REDIRECTED, "", PingResult(1, 0, None, "Time to live exceeded", "10.0.0.2")),
        (
            SOME_LOST,
            "",
            PingResult(20, 11, Rtt(0.019, 0.027, 0.042), "9 of 20 packets lost"),
        ),
        (WITHOUT_TIMES, "", PingResult(1, 1, None, None)),
        (
            "",
            "ping: connect: Network is unreachable\n",
            PingResult(0, 0, None, "Network is unreachable"),
        ),
    ],
)
def test_parse(stdout: str, stderr: str, expected: PingResult) -> None:
    assert parse(stdout, stderr) == expected
    assert parse(stdout, stderr).ok == (expected.error is None)


@given(st.text(), st.text())
def test_nothing_counts_without_a_summary(stdout: str, stderr: str) -> None:
    result = parse(stdout, stderr)
    if "packets transmitted" not in stdout:
        assert (result.sent, result.received, result.ok) == (0, 0, False)


TIMES = st.floats(0, 1e5, allow_nan=False).map(lambda value: round(value, 3))


@given(st.integers(1, 10**6), st.data(), st.lists(TIMES, min_size=3, max_size=3).map(sorted))
def test_summaries(sent: int, data: st.DataObject, times: list[float]) -> None:
    received = data.draw(st.integers(0, sent))
    duplicates = data.draw(st.sampled_from(["", "+3 duplicates, ", "+1 errors, "]))
    low, middle, high = times
    text = (
        f"{sent} packets transmitted, {received} received, {duplicates}9% packet loss, time 3ms\n"
    )
    text += f"rtt min/avg/max/mdev = {low:.3f}/{middle:.3f}/{high:.3f}/0.001 ms, pipe 4\n"
    result = parse(text)
    assert (result.sent, result.received) == (sent, received)
    assert result.ok == (sent == received)
    assert result.rtt_ms == (Rtt(low, middle, high) if received else None)


@given(st.integers(1, 1000), st.lists(st.text(alphabet="Fromicp_seq=0123 .:()\n"), max_size=5))
def test_a_lost_packet_always_has_a_reason(sent: int, noise: list[str]) -> None:
    text = "\n".join(
        [*noise, f"{sent} packets transmitted, 0 received, 100% packet loss, time 0ms"]
    )
    assert parse(text).error


@pytest.fixture
def fake_ping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put a `ping` into the path that prints what it is given and notes its arguments."""

    def install(stdout: str, stderr: str = "", code: int = 0) -> Path:
        (tmp_path / "out").write_text(stdout)
        (tmp_path / "err").write_text(stderr)
        for name, body in (
            ("ping", f"cat {tmp_path}/out; cat {tmp_path}/err >&2; exit {code}"),
            ("ip", "exit 0"),
        ):
            script = tmp_path / name
            script.write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/arguments\n{body}\n')
            script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return tmp_path / "arguments"

    return install


def test_node_stands_for_its_address(
    call: Callable[..., Result], keeper: FakeKeeper, fake_ping: Callable[..., Path]
) -> None:
    arguments = fake_ping(WORKED)
    result = call("ping", "cnd1", "a", "-c", "3", "-i", "0.5", "-s", "100", "--json")
    assert result.exit_code == 0
    assert arguments.read_text() == "ping -n -c 3 -i 0.5 -s 100 -W 1 10.77.7.88\n"
    assert json.loads(result.stdout) == {
        "source": "cnd1",
        "destination": "a",
        "address": "10.77.7.88",
        "packet_bytes": 128,
        "sent": 3,
        "received": 3,
        "rtt_ms": {"min": 0.009, "avg": 0.019, "max": 0.038},
        "error": None,
        "error_from": None,
    }


def test_df_forgets_learned_path_mtus(
    call: Callable[..., Result], keeper: FakeKeeper, fake_ping: Callable[..., Path]
) -> None:
    arguments = fake_ping(TOO_BIG, TOO_BIG_STDERR, 1)
    result = call("ping", "a", "10.0.1.1", "--df", "-s", "1273")
    assert result.exit_code == 1
    assert "0 of 3 received: Frag needed and DF set (mtu = 1300) (from 10.0.0.2)" in result.output
    assert arguments.read_text().splitlines()[0] == "ip -4 route flush cache"
    assert "-M do 10.0.1.1" in arguments.read_text()


def test_no_route_is_the_network_saying_no(
    call: Callable[..., Result], keeper: FakeKeeper, fake_ping: Callable[..., Path]
) -> None:
    fake_ping("", "ping: connect: Network is unreachable\n", 2)
    result = call("ping", "a", "10.9.9.9")
    assert result.exit_code == 1
    assert "Network is unreachable" in result.output


def test_ping_that_crashes_is_the_hosts_fault(
    call: Callable[..., Result], keeper: FakeKeeper, fake_ping: Callable[..., Path]
) -> None:
    fake_ping("", "Segmentation fault\n", 139)
    assert call("ping", "a", "10.9.9.9").exit_code == 3


def test_unknown_destination(call: Callable[..., Result], keeper: FakeKeeper) -> None:
    result = call("ping", "a", "op-a.ond2")
    assert result.exit_code == 2
    assert "did you mean 'op-a.ond1'?" in result.stderr


@pytest.mark.parametrize("wrong", [{"count": 0}, {"size": 65508}, {"interval_s": 0.0}])
def test_values_out_of_range(keeper: FakeKeeper, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ping(Client("demo"), "a", "10.0.0.1", **wrong)


@pytest.mark.parametrize("words", [["-c", "0"], ["-s", "65508"], ["-s", "-1"], ["-i", "0"]])
def test_wrong_options_are_named(
    words: list[str], call: Callable[..., Result], keeper: FakeKeeper
) -> None:
    result = call("ping", "a", "cnd1", *words)
    assert result.exit_code == 2
    assert f"'{words[0]}'" in result.stderr
    assert "range" in result.stderr


def test_an_ipv6_address(
    call: Callable[..., Result], keeper: FakeKeeper, fake_ping: Callable[..., Path]
) -> None:
    """An address of either kind is one, and no node's name; headers are larger."""
    arguments = fake_ping(WORKED.replace("10.0.1.1", "2001:db8::4"), "", 0)
    result = call("ping", "a", "2001:db8::4", "--df", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["packet_bytes"] == 56 + 48
    assert arguments.read_text().splitlines()[0] == "ip -6 route flush cache"


def test_an_answer_from_another_address_is_none() -> None:
    found = parse(STRANGER)
    assert (found.sent, found.received, found.ok) == (2, 0, False)
    assert found.error == "the answer comes from 10.1.10.10"
