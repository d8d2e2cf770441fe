"""What the agent measures: the rack's networking devices and tunnels."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any

from testbed.programs.management.metrics import Sample

CONTROL_TIMEOUT_S = 2.0
STATES = ("Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established")


def bird_sessions(path: str) -> tuple[dict[str, str], int]:
    """The states of the BGP sessions of the BIRD at `path`, and its process."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(CONTROL_TIMEOUT_S)
        sock.connect(path)
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        sock.sendall(b"show protocols all\n")
        data = b""
        while not re.search(rb"(?:^|\n)(?:0000|[89]\d\d\d) [^\n]*\n\Z", data):
            chunk = sock.recv(65536)
            if not chunk:
                break
            data += chunk
    return parse_sessions(data.decode(errors="replace")), struct.unpack("iII", credentials)[0]


def parse_sessions(reply: str) -> dict[str, str]:
    """BIRD's reply to `show protocols all`: the BGP state of each session."""
    states: dict[str, str] = {}
    name = ""
    for line in reply.splitlines():
        text = re.sub(r"^\d{4}[- ]", "", line)
        if match := re.match(r"(\S+)\s+BGP\s", text):
            name = match[1]
        elif text[:1] not in {" ", ""}:
            name = ""
        elif name and text.strip().startswith("BGP state:"):
            states[name] = text.partition(":")[2].strip()
    return states


def interface_bytes(pid: int) -> dict[str, tuple[int, int]]:
    """Received and sent bytes of the interfaces in a process's namespace."""
    with open(f"/proc/{pid}/net/dev", encoding="ascii") as file:  # noqa: PTH123 - pathlib is slow to import
        rows = (line.partition(":") for line in file.readlines()[2:])
        counters = {name.strip(): rest.split() for name, _, rest in rows}
    return {name: (int(fields[0]), int(fields[8])) for name, fields in counters.items()}


def bond_is_up(pid: int, bond: str) -> bool:
    """Whether a bond in a process's namespace is up, by its own account."""
    with open(f"/proc/{pid}/net/bonding/{bond}", encoding="utf-8") as file:  # noqa: PTH123
        return any(line.strip() == "MII Status: up" for line in _of_the_bond(file))


def _of_the_bond(lines: Iterable[str]) -> Iterator[str]:
    """What the kernel says of the bond itself, which comes before its members."""
    return takewhile(lambda line: not line.startswith("Slave Interface"), lines)


class Gauges:
    """The metrics of an Outpost's networking devices."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.counters: dict[tuple[str, str], tuple[float, int, int]] = {}

    def connected(self) -> bool:
        """Whether any of the service link's tunnels works: BGP inside it is Established."""
        tunnels = self.config["tunnels"]
        with contextlib.suppress(OSError):
            states, _ = bird_sessions(tunnels["control"])
            return any(states.get(name) == STATES[-1] for name in tunnels["sessions"])
        return False

    def samples(self) -> list[Sample]:
        """All metrics as they are now."""
        found: list[Sample] = []
        for device in self.config["devices"]:
            with contextlib.suppress(OSError):
                states, pid = bird_sessions(device["control"])
                up = bond_is_up(pid, device["bond"])
                found.append(_sample("LagStatus", device["dimensions"], int(up)))
                traffic = interface_bytes(pid)
                for vif in device["vifs"]:
                    found += self._vif(device["control"], vif, states, traffic)
        return found

    def _vif(
        self,
        where: str,
        vif: dict[str, Any],
        states: dict[str, str],
        traffic: dict[str, tuple[int, int]],
    ) -> Iterator[Sample]:
        state = states.get(vif["session"], STATES[0])
        number = STATES.index(state) + 1 if state in STATES else 1
        dimensions = vif["dimensions"]
        yield _sample("VifConnectionStatus", dimensions, int(state == STATES[-1]))
        yield _sample("VifBgpSessionState", dimensions, number)
        now = time.time()
        received, sent = traffic.get(vif["interface"], (0, 0))
        key = (where, vif["interface"])
        before = self.counters.get(key)
        self.counters[key] = (now, received, sent)
        if before is not None and now > before[0]:
            seconds = now - before[0]
            yield _sample("IfTrafficIn", dimensions, 8 * max(0, received - before[1]) / seconds)
            yield _sample("IfTrafficOut", dimensions, 8 * max(0, sent - before[2]) / seconds)


def _sample(metric: str, dimensions: dict[str, str], value: float) -> Sample:
    return {"metric": metric, "dimensions": dimensions, "value": value}
