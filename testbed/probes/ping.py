"""Pinging from a node with iputils' ping(8), and reading what it says."""

from __future__ import annotations

import contextlib
import re
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.errors import HostError, NetworkError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.control.client import Client, Completed

HEADERS, HEADERS_IPV6 = 28, 48  # bytes of the IP and ICMP headers around the payload
MAX_SIZE = 65507
REPLY_WAIT_S = 1  # for the last reply
GRACE_S = 30.0  # for a slow guest, beyond what the ping itself takes

_COUNTS = re.compile(r"^(\d+) packets transmitted, (\d+) received", re.MULTILINE)
_RTT = re.compile(r"^rtt min/avg/max/mdev = ([\d.]+)/([\d.]+)/([\d.]+)/[\d.]+ ms", re.MULTILINE)
_FROM = re.compile(r"^From (\S+):? icmp_seq=\d+ (?!Redirect )(.+)$", re.MULTILINE)
_STRANGER = re.compile(r"^\d+ bytes from (\S+): .* \(DIFFERENT ADDRESS!\)$", re.MULTILINE)
_LOCAL = re.compile(r"^ping: (?:(?:local error|connect|sendmsg|bind|sendto): )?(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Rtt:
    """Round-trip times in milliseconds."""

    min: float
    avg: float
    max: float


@dataclass(frozen=True, slots=True)
class PingResult:
    """What came of a ping.

    `error` is None when every packet was answered; else what a router
    answered (``Frag needed and DF set (mtu = 1300)``), what the own kernel
    said (``Network is unreachable``), that another address answered, or how
    many are missing. `error_from`
    is the address that the ICMP error came from.
    """

    sent: int
    received: int
    rtt_ms: Rtt | None
    error: str | None
    error_from: str | None = None

    @property
    def ok(self) -> bool:
        """Whether every packet was answered."""
        return self.error is None

    def to_json(self) -> dict[str, Any]:
        """As `testbed ping --json` prints it."""
        rtt = self.rtt_ms
        return {
            "sent": self.sent,
            "received": self.received,
            "rtt_ms": {"min": rtt.min, "avg": rtt.avg, "max": rtt.max} if rtt else None,
            "error": self.error,
            "error_from": self.error_from,
        }


def parse(stdout: str, stderr: str = "") -> PingResult:
    """Read the output of iputils' ping; without its summary nothing counts as received."""
    counts = _COUNTS.search(stdout)
    sent, received = (int(counts[1]), int(counts[2])) if counts else (0, 0)
    strangers = _STRANGER.findall(stdout)
    if strangers:  # no other program takes them for answers
        told = f"the answer comes from {strangers[0]}"
        return PingResult(sent, max(received - len(strangers), 0), None, told)
    times = _RTT.search(stdout)
    rtt = Rtt(*(float(value) for value in times.groups())) if times and received else None
    if sent and received >= sent:
        return PingResult(sent, received, rtt, None)
    source, error = _reason(stdout, stderr)
    if error is None:
        error = f"{sent - received} of {sent} packets lost" if received else "no reply"
    return PingResult(sent, received, rtt, error, source)


def _reason(stdout: str, stderr: str) -> tuple[str | None, str | None]:
    """The first ICMP error and where it came from, else the first local error."""
    if match := _FROM.search(stdout):
        return match[1].rstrip(":"), match[2].strip()
    if match := _LOCAL.search(stderr) or _LOCAL.search(stdout):
        return None, match[1].strip()
    return None, None


def ping(
    client: Client,
    source: str,
    destination: str,
    *,
    count: int = 3,
    interval_s: float = 0.2,
    size: int = 56,
    df: bool = False,
) -> PingResult:
    """Ping the address `destination` from node `source`.

    `size` is the payload in bytes as ping(8) counts it: see `packet_bytes`.
    `df` sets the Don't Fragment bit; the node first forgets the path MTUs that
    it has learned, so that the answer is the path's of today. Raises
    UsageError for values that ping refuses, HostError without ping.
    """
    argv = _argv(destination, count, interval_s, size, df)
    if df:
        family = "-6" if is_ipv6(destination) else "-4"
        client.run(source, ["ip", family, "route", "flush", "cache"], timeout=GRACE_S)
    done = client.run(source, argv, timeout=_limit(count, interval_s))
    return _result(source, done)


def is_ipv6(address: str) -> bool:
    """Whether it is an IPv6 address, maybe with a zone."""
    return ":" in address


def packet_bytes(size: int, address: str) -> int:
    """The size of the IP packet with so much payload, in bytes."""
    return size + (HEADERS_IPV6 if is_ipv6(address) else HEADERS)


@contextlib.contextmanager
def pinging(
    client: Client, source: str, destination: str, *, count: int, interval_s: float
) -> Iterator[Future[PingResult]]:
    """Ping beside what the block does. Left by an error, it ends the pings at once."""
    argv, limit = _argv(destination, count, interval_s), _limit(count, interval_s)

    def wait() -> PingResult:
        try:
            return _result(source, process.wait(limit))
        except TimeoutError:
            raise NetworkError(f"ping in {source} did not end within {limit:g} s") from None

    with client.popen(source, argv) as process, ThreadPoolExecutor(1) as pool:
        process.close_stdin()
        try:
            yield pool.submit(wait)
        except BaseException:
            with contextlib.suppress(OSError):
                process.signal(signal.SIGINT)
            raise


def _argv(
    destination: str, count: int, interval_s: float, size: int = 56, df: bool = False
) -> list[str]:
    if count < 1 or not 0 <= size <= MAX_SIZE or interval_s < 0.002:
        hint = f"count from 1, size 0 to {MAX_SIZE}, interval from 0.002 s"
        raise UsageError("ping: value out of range", hint=hint)
    argv = ["ping", "-n", "-c", str(count), "-i", f"{interval_s:g}", "-s", str(size)]
    argv += ["-W", str(REPLY_WAIT_S), *(("-M", "do") if df else ())]
    return [*argv, destination]


def _limit(count: int, interval_s: float) -> float:
    """The seconds after which something is wrong."""
    return count * interval_s + REPLY_WAIT_S + GRACE_S


def _result(source: str, done: Completed) -> PingResult:
    stderr = done.stderr.decode(errors="replace")
    if done.returncode > 1 and not _LOCAL.search(stderr):
        raise HostError(
            f"ping failed in {source} with status {done.returncode}", hint=stderr or None
        )
    return parse(done.text, stderr)
