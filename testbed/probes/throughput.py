"""Measuring throughput, round-trip times and loss between two nodes, with iperf3 and ping."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from testbed.errors import HostError, NetworkError, UsageError
from testbed.probes.ping import PingResult, Rtt, ping, pinging
from testbed.quantities import HIGHEST_RATE_MBPS, rate_mbps

if TYPE_CHECKING:
    from testbed.control.client import Client, RemoteProcess
    from testbed.plan.model import Plan

PORT = 5201
LISTENING = "Server listening"
CONNECT_MS = 5000
DATAGRAM = 1252  # payload of UDP: an IP packet of 1280 bytes passes the service link, too
GRACE_S = 30.0  # for a slow guest
IDLE_PINGS, IDLE_INTERVAL_S = 10, 0.05
LOADED_INTERVAL_S = 0.2
FULL = 0.85  # of its rate, slow start included, that a link carries which limits
REFUSED_RETRIES = 5  # a server says that it listens a moment too early
_RATE = re.compile(rb"([\d.]+ [KMGT]?)bits/sec")

OnProgress = Callable[[float, float | None], None]


@dataclass(frozen=True, slots=True)
class LinkUse:
    """What an interface with a rate limit of the topology's carried, in its direction."""

    node: str
    interface: str
    rate_mbps: float
    carried_mbps: float

    @property
    def share(self) -> float:
        """Carried of what it can carry."""
        return self.carried_mbps / self.rate_mbps


@dataclass(frozen=True, slots=True)
class Throughput:
    """What a measurement has shown. Rates are of the payload, in Mbit/s.

    `sent_mbps` left the sender, `received_mbps` arrived. TCP has
    `retransmits`; UDP has `packets`, how many were `lost`, and the `jitter_ms`
    of RFC 1889. `idle` and `loaded` are pings from the source before and
    during it; where there are several ways they may take another one than the
    load, so `tcp_rtt_ms` is what TCP itself saw (not with `reverse`).
    `busiest` is the link with a rate limit that carried most of it.
    """

    source: str
    destination: str
    address: str
    protocol: Literal["tcp", "udp"]
    reverse: bool
    parallel: int
    seconds: float
    sent_mbps: float
    received_mbps: float
    retransmits: int | None
    packets: int | None
    lost: int | None
    jitter_ms: float | None
    tcp_rtt_ms: Rtt | None
    idle: PingResult
    loaded: PingResult
    busiest: LinkUse | None

    @property
    def lost_percent(self) -> float | None:
        """Loss of UDP datagrams."""
        if self.packets is None or self.lost is None:
            return None
        return 100.0 * self.lost / self.packets if self.packets else None

    @property
    def limit(self) -> LinkUse | None:
        """The link that was full, if one was."""
        return self.busiest if self.busiest and self.busiest.share >= FULL else None

    @property
    def rtt_idle_ms(self) -> Rtt | None:
        """Round-trip times before the load."""
        return self.idle.rtt_ms

    @property
    def rtt_loaded_ms(self) -> Rtt | None:
        """Round-trip times under load."""
        return self.loaded.rtt_ms

    def to_json(self) -> dict[str, Any]:
        """As `testbed perf --json` prints it."""
        use = self.busiest
        row = asdict(self) | {"lost_percent": self.lost_percent}
        row |= {"idle": self.idle.to_json(), "loaded": self.loaded.to_json()}
        row["busiest"] = None if use is None else asdict(use) | {"share": round(use.share, 3)}
        return row | {"limited": self.limit is not None}


def parse_rate(text: str) -> float:
    """A rate in Mbit/s, from ``100M``, ``1.5G``, ``800K`` or bits per second; else UsageError."""
    try:
        rate = rate_mbps(text.strip(), 1e-6)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= HIGHEST_RATE_MBPS:
        raise UsageError(f"{text[:40]!r} is not a rate", hint="for example 100M, 1.5G or 800K")
    return rate


def measure(
    client: Client,
    plan: Plan,
    source: str,
    destination: str,
    address: str,
    *,
    seconds: float = 10.0,
    udp_mbps: float | None = None,
    reverse: bool = False,
    parallel: int = 1,
    port: int = PORT,
    on_progress: OnProgress = lambda _, __: None,
) -> Throughput:
    """Send as much as there is room for, or `udp_mbps` in all, to a node for `seconds`.

    `reverse` sends from `destination` to `source`, over connections that the
    source has opened. Needs real time. Raises NetworkError when the
    connection cannot be made, HostError without iperf3.
    """
    client.require_real_time("measuring throughput")
    if not 0.5 <= seconds <= 86400 or not 1 <= parallel <= 128:
        raise UsageError("value out of range", hint="0.5 s to a day, 1 to 128 connections")
    argv = ["iperf3", "-c", address, "-p", str(port), "-t", f"{round(seconds) or 1}", "-J"]
    argv += ["-P", str(parallel), "--connect-timeout", str(CONNECT_MS)]
    if udp_mbps is not None:
        argv += ["-u", "-l", str(DATAGRAM), "-b", str(max(1, round(udp_mbps * 1e6 / parallel)))]
    if reverse:
        argv.append("-R")
    idle = ping(client, source, address, count=IDLE_PINGS, interval_s=IDLE_INTERVAL_S)
    with _server(client, destination, port, round(seconds) or 1, on_progress) as server:
        before = _carried(client, plan)
        count = max(2, round(seconds / LOADED_INTERVAL_S) - 1)
        pings = pinging(client, source, address, count=count, interval_s=LOADED_INTERVAL_S)
        with pings as loaded:
            report = _run(client, source, argv, seconds, server)
            during = loaded.result()
        after = _carried(client, plan)
    took = float(report["end"]["sum_sent"]["seconds"])
    uses = [
        LinkUse(*key[:2], rate_mbps=key[2], carried_mbps=(after[key] - sent) * 8e-6 / took)
        for key, sent in before.items()
        if key in after
    ]
    busiest = max(uses, key=lambda use: use.share, default=None)
    names = (source, destination, address)
    return _result(report, names, reverse, parallel, udp_mbps, idle, during, busiest)


def _result(
    report: dict[str, Any],
    names: tuple[str, str, str],
    reverse: bool,
    parallel: int,
    udp_mbps: float | None,
    idle: PingResult,
    loaded: PingResult,
    busiest: LinkUse | None,
) -> Throughput:
    """What iperf3 reports, and the rest."""
    end = report["end"]
    sent, received = end["sum_sent"], end["sum_received"]
    udp = end["sum"] if udp_mbps is not None else None
    # What a receiver of datagrams counts is what came; older versions report what was sent.
    share = 1 - udp["lost_packets"] / udp["packets"] if udp and udp["packets"] else 1.0
    arrived = sent["bits_per_second"] * share if udp else received["bits_per_second"]
    return Throughput(
        *names,
        protocol="udp" if udp else "tcp",
        reverse=reverse,
        parallel=parallel,
        seconds=float(sent["seconds"]),
        sent_mbps=sent["bits_per_second"] / 1e6,
        received_mbps=arrived / 1e6,
        retransmits=None if udp else sent.get("retransmits"),
        packets=int(udp["packets"]) if udp else None,
        lost=int(udp["lost_packets"]) if udp else None,
        jitter_ms=float(udp["jitter_ms"]) if udp else None,
        tcp_rtt_ms=_tcp_rtt(end.get("streams") or []),
        idle=idle,
        loaded=loaded,
        busiest=busiest,
    )


def _tcp_rtt(streams: list[dict[str, Any]]) -> Rtt | None:
    """The round-trip times that the senders' kernel has estimated, which iperf3 has in us."""
    senders = [entry["sender"] for entry in streams if entry.get("sender", {}).get("mean_rtt")]
    if not senders:
        return None
    mean = sum(entry["mean_rtt"] for entry in senders) / len(senders)
    low = min(entry["min_rtt"] for entry in senders)
    high = max(entry["max_rtt"] for entry in senders)
    return Rtt(low / 1000, mean / 1000, high / 1000)


@contextlib.contextmanager
def _server(
    client: Client, node: str, port: int, seconds: float, on_progress: OnProgress
) -> Iterator[RemoteProcess]:
    """Run a server, until the block is left; what it says drives the progress."""
    argv = ["iperf3", "-s", "-p", str(port), "-i", "1", "--forceflush"]
    listening = threading.Event()
    said = bytearray()

    def follow() -> None:
        started = None
        with contextlib.suppress(Exception):  # it ends when the block is left
            for data in process.chunks():
                said.extend(data)
                if LISTENING.encode() in said:
                    listening.set()
                if rates := _RATE.findall(data):
                    started = started or time.monotonic() - 1
                    rate = rate_mbps(rates[-1].decode().strip(), 1e-6)
                    on_progress(min(time.monotonic() - started, seconds), rate)
        listening.set()

    process = client.popen(node, argv)
    process.close_stdin()
    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    try:
        listening.wait(GRACE_S)
        if LISTENING.encode() not in said:
            raise _no_server(node, port, process)
        yield process
    finally:
        with contextlib.suppress(OSError):
            process.signal(2)
        reader.join(GRACE_S)
        process.connection.close()


def _no_server(node: str, port: int, process: RemoteProcess) -> HostError | NetworkError:
    said = process.stderr.decode(errors="replace").strip()
    if process.returncode is None and not said:
        return HostError("iperf3 does not start", hint="install the package iperf3")
    return NetworkError(f"iperf3 in {node} cannot listen on port {port}", hint=said or None)


def _run(
    client: Client, node: str, argv: list[str], seconds: float, server: RemoteProcess
) -> dict[str, Any]:
    """Run iperf3's client; its report."""
    error = ""
    for _ in range(REFUSED_RETRIES):
        done = client.run(node, argv, timeout=seconds + CONNECT_MS / 1000 + GRACE_S)
        try:
            report: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise HostError(f"iperf3 in {node} has failed", hint=said or None) from None
        error = str(report.get("error") or "")
        if not error and report.get("end", {}).get("sum_sent"):
            return report
        if "refused" not in error or server.returncode is not None:
            break
    address, port = argv[2], argv[4]
    hint = f"security groups and firewalls must allow TCP and UDP {port}, see --port"
    raise NetworkError(f"{node} to {address}: iperf3: {error or 'no result'}", hint=hint)


def _carried(client: Client, plan: Plan) -> dict[tuple[str, str, float], int]:
    """The bytes that interfaces with a rate limit have sent so far."""
    limited = {
        node.name: rates
        for node in plan.nodes
        if (
            rates := {
                i.name: i.netem.rate_mbps
                for i in node.interfaces
                if i.netem and i.netem.rate_mbps and not i.netem.classified
            }
        )
    }

    def read(name: str) -> dict[tuple[str, str, float], int]:
        paths = [f"/sys/class/net/{i}/statistics/tx_bytes" for i in limited[name]]
        done = client.run(name, ["cat", *paths], timeout=GRACE_S)
        counts = map(int, done.text.split()) if done.returncode == 0 else ()
        return {(name, i, rate): n for (i, rate), n in zip(limited[name].items(), counts)}  # noqa: B905

    with ThreadPoolExecutor(8) as pool:
        return {key: n for found in pool.map(read, limited) for key, n in found.items()}
