"""A short TCP transfer between two nodes, with iperf3."""

from __future__ import annotations

import contextlib
import json
import time

from testbed.conformance.site import Site
from testbed.control.client import RemoteProcess
from testbed.errors import HostError, NetworkError
from testbed.probes.throughput import LISTENING

SECONDS = 1
FLOWS = 2
START_S = 30.0  # for a slow guest


def transfer(
    site: Site, source: str, own: object, destination: str, address: object
) -> tuple[float, float]:
    """How many Mbit/s come through, and which share of the time the processors were busy.

    `own` and `address` are addresses of the two nodes. NetworkError where no transfer comes about,
    HostError where iperf3 cannot run.
    """
    server = site.testbed.client.popen(
        destination, ["iperf3", "--server", "--one-off", "--forceflush"], until="listening"
    )
    try:
        _await_listening(server)
        before = _processors(site, source)
        argv = ["iperf3", "--client", str(address), "--time", str(SECONDS), "--json"]
        argv += ["--parallel", str(FLOWS), "--connect-timeout", "2000", "--bind", str(own)]
        done = site.testbed[source].run(argv, check=False)
        after = _processors(site, source)
    finally:
        server.connection.close()
    try:
        report = json.loads(done.text)
    except ValueError:
        report = {"error": done.stderr.decode(errors="replace").strip() or "no report"}
    if "error" in report:
        raise NetworkError(f"no transfer from {source} to {destination}", hint=report["error"])
    idle, total = (late - early for early, late in zip(before, after, strict=True))
    rate = float(report["end"]["sum_received"]["bits_per_second"])
    return rate / 1e6, 1 - idle / total if total else 1.0


def _await_listening(server: RemoteProcess) -> None:
    """Wait until the server can be connected to; HostError when it does not come to that."""
    said = bytearray()
    with contextlib.suppress(TimeoutError):
        for chunk in server.chunks(time.monotonic() + START_S):
            said += chunk
            if LISTENING.encode() in said:
                return
    why = (bytes(server.stderr) or bytes(said)).decode(errors="replace").strip()
    raise HostError("iperf3 does not listen", hint=why or None)


def _processors(site: Site, node: str) -> tuple[int, int]:
    """The idle time and all the time of the processors where the node runs, in ticks."""
    line = site.testbed[node].run(["head", "-n", "1", "/proc/stat"]).text
    ticks = [int(word) for word in line.split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
