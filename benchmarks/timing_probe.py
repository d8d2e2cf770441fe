"""What benchmarks/timers runs in a node; prints one JSON object. Standard library only."""

from __future__ import annotations

import json
import os
import socket
import statistics
import sys
import time
from typing import Any

PORT = 7000
STAMP = 8
UDP_PAYLOAD = 1472
FRAME = 1514
STEADY_S = 0.05  # BIRD works out anew when something happened each time it is asked
SOCKET_BUFFER = 8 * 1024 * 1024


def spread(values: list[float]) -> dict[str, float]:
    """Median, mean, deviation and the ends of what was measured."""
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "median": statistics.median(ordered),
        "mean": statistics.fmean(ordered),
        "deviation": statistics.pstdev(ordered),
        "min": ordered[0],
        "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
        "max": ordered[-1],
    }


def clock() -> dict[str, float]:
    """Both clocks, whenever asked, until the end of standard input."""
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps({"realtime": time.time(), "monotonic": time.monotonic()}), flush=True)
    return {}


def sleep(milliseconds: str, count: str) -> dict[str, float]:
    """How long a sleep of so many milliseconds takes, in ms."""
    wanted = float(milliseconds) / 1000
    taken = []
    for _ in range(int(count)):
        started = time.perf_counter()
        time.sleep(wanted)
        taken.append((time.perf_counter() - started) * 1000)
    return spread(taken)


def echo() -> dict[str, float]:
    """Answer every datagram, for as long as somebody asks."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
        sock.bind(("", PORT))
        print("ready", flush=True)
        while True:
            data, sender = sock.recvfrom(2048)
            sock.sendto(data, sender)


def ping(address: str, count: str) -> dict[str, float]:
    """Round trips of a datagram, one after the other, in ms."""
    taken = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        sock.connect((address, PORT))
        for number in range(int(count) + 1):
            started = time.perf_counter()
            sock.send(number.to_bytes(STAMP, "big"))
            sock.recv(64)
            if number:  # the first one waits for ARP
                taken.append((time.perf_counter() - started) * 1000)
    return spread(taken)


def lose(address: str, count: str) -> dict[str, float]:
    """Which part of so many datagrams does not come back."""
    back = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
        sock.connect((address, PORT))
        for number in range(int(count)):
            sock.send(number.to_bytes(STAMP, "big"))
            sock.settimeout(0.000001)
            back += received(sock)
        sock.settimeout(1)
        while received(sock):
            back += 1
    return {"n": int(count), "lost_percent": 100 * (1 - back / int(count))}


def received(sock: socket.socket) -> int:
    """1 when a datagram is there before the socket's timeout."""
    try:
        sock.recv(64)
    except (TimeoutError, BlockingIOError):
        return 0
    return 1


def drain(seconds: str) -> dict[str, float]:
    """The rate at which full frames arrive, in Mbit/s of Ethernet frames."""
    frames = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
        sock.bind(("", PORT + 1))
        print("ready", flush=True)
        sock.settimeout(20)
        sock.recv(2048)
        started = last = time.perf_counter()
        while last - started < float(seconds):
            sock.recv(2048)
            frames += 1
            last = time.perf_counter()
    return {"n": frames, "mbps": frames * FRAME * 8 / (last - started) / 1e6}


def flood(address: str, seconds: str) -> dict[str, float]:
    """Send as fast as the socket's buffer, which the link's queue fills, allows."""
    data = bytes(UDP_PAYLOAD)
    frames = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 256 * 1024)
        deadline = time.perf_counter() + float(seconds)
        while time.perf_counter() < deadline:
            sock.sendto(data, (address, PORT + 1))
            frames += 1
    return {"n": frames}


def burn(seconds: str) -> dict[str, float]:
    """Use a processor."""
    deadline = time.monotonic() + float(seconds)
    rounds = 0
    while time.monotonic() < deadline:
        rounds += sum(range(1000)) > 0
    return {"n": rounds}


def bfd_sessions(path: str) -> list[list[str]]:
    """BIRD's BFD sessions, each as the words of its line."""
    from testbed.keeper import bird  # noqa: PLC0415

    rows = [line.split() for line in bird.ask(path, "show bfd sessions")]
    return [row for row in rows if len(row) > 4 and row[0][0].isdigit()]


def of_day(text: str) -> float:
    """Seconds since midnight of 06:41:16.257."""
    hours, minutes, seconds = text.split(":")
    return (int(hours) * 60 + int(minutes)) * 60 + float(seconds)


def bfd_watch(path: str, seconds: str) -> dict[str, Any]:
    """How often a session that is up goes down in so many seconds without a reason."""
    deadline = time.monotonic() + 20
    while not (rows := bfd_sessions(path)) or rows[0][2] != "Up":
        if time.monotonic() > deadline:
            return {"up": False, "flaps": -1}
        time.sleep(0.05)
    deadline = time.monotonic() + float(seconds)
    up_since, flaps = of_day(rows[0][3]), 0
    while time.monotonic() < deadline:
        _, _, state, since, *_ = bfd_sessions(path)[0]
        if state == "Up" and abs(of_day(since) - up_since) > STEADY_S:
            up_since = of_day(since)
            flaps += 1
        time.sleep(0.2)
    return {"up": True, "flaps": flaps}


def bfd_detect(path: str, count: str) -> dict[str, Any]:
    """Milliseconds from the last frame that arrives to the session's being down."""
    from testbed.kernel import nftables  # noqa: PLC0415

    chain = "chain in {\ntype filter hook prerouting priority raw\ndrop\n}"
    taken = []
    for number in range(int(count)):
        while (rows := bfd_sessions(path)) and rows[0][2] != "Up":
            time.sleep(0.05)
        time.sleep(1 + 0.013 * number)  # the failure comes anywhere between two packets
        started = time.perf_counter()
        nftables.run(f"table inet silence {{\n{chain}\n}}\n")
        while bfd_sessions(path)[0][2] == "Up":
            time.sleep(0.001)
        taken.append((time.perf_counter() - started) * 1000)
        nftables.run("delete table inet silence\n")
    return spread(taken)


def main() -> None:
    """Run the probe that the command line names."""
    probes = (clock, sleep, echo, ping, lose, drain, flood, burn, bfd_watch, bfd_detect)
    probe = {each.__name__: each for each in probes}[sys.argv[1]]
    result = probe(*sys.argv[2:])
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("LANG", "C.UTF-8")
    main()
