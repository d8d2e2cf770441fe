"""Sending one packet or opening one connection, from a given interface, in a node of the site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from testbed.conformance.expectation import expect
from testbed.conformance.site import Site
from testbed.errors import NetworkError
from testbed.plan.model import Veth
from testbed.probes.capture import Capture
from testbed.probes.ping import HEADERS, PingResult, parse
from testbed.programs.inline import program

Place = tuple[str, str]  # node, interface
PYTHON = "testbed-python"
CONNECT_S = 2.0
NO_CARRIER = "no carrier"  # the keeper's word for it: the other end is down, or the cable is out
# They run in the node, possibly in an emulated guest: they import as little as they can.
_INJECT = """
import socket, sys
name, mac = sys.argv[1:]
if mac:
    out = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
else:
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
for line in sys.stdin:
    packet = bytes.fromhex(line)
    to = (name, 0x0800, 0, 0, bytes.fromhex(mac)) if mac else (socket.inet_ntoa(packet[16:20]), 0)
    try:
        out.sendto(packet, to)
    except OSError as error:
        sys.exit(error.strerror)
"""
# UDP to the port "discard": what a filter for pings does not concern.
_CALL = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
try:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
    sock.sendto(b"", ("255.255.255.255", 9))
except OSError as error:
    sys.exit(f"{sys.argv[1]}: {error.strerror}")
"""
_CONNECT = """
import socket, sys
sock = socket.socket()
if sys.argv[1]:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
if sys.argv[5]:
    sock.bind((sys.argv[5], 0))
sock.settimeout(float(sys.argv[4]))
try:
    sock.connect((sys.argv[2], int(sys.argv[3])))
except OSError as error:
    sys.exit(error.strerror or str(error))
"""


def exists(site: Site, node: str) -> bool:
    """Whether a node is part of the testbed: a real device is not."""
    return any(entry.name == node for entry in site.plan.nodes)


def expect_up(site: Site, places: Iterable[Place]) -> None:
    """Fail for an interface that is down: for one that was set down before those that hear nothing.

    Those of nodes that the testbed has not are left out.
    """
    rows = {(row["node"], row["interface"]): row for row in site.rows("links")}
    missing = {"ok": False, "state": "missing"}
    found = [(place, rows.get(place, missing)) for place in places if exists(site, place[0])]
    for place, row in sorted(found, key=lambda entry: entry[1]["state"] == NO_CARRIER):
        expect(row["ok"], " ".join(place), expected="up", seen=row["state"])


@contextmanager
def captures(
    site: Site,
    places: Iterable[Place],
    filter_: str,
    others: Mapping[Place, str] | None = None,
) -> Iterator[dict[Place, Capture]]:
    """Capture in several places at once; those of nodes that the testbed has not are left out.

    `others` are the places with filters of their own.
    """
    own = others or {}
    with ExitStack() as stack:
        yield {
            place: stack.enter_context(
                site.testbed[place[0]].capture(place[1], own.get(place, filter_))
            )
            for place in dict.fromkeys(places)
            if exists(site, place[0])
        }


def ping(
    site: Site,
    place: Place,
    destination: object,
    *,
    size: int = 84,
    df: bool = False,
    count: int = 1,
    wait_s: float = 1.0,
    mark: bytes = b"",
) -> PingResult:
    """Ping out of an interface, whatever the routing tables say; `size` is the IP packet's.

    Its payload repeats `mark`, of at most 16 bytes.
    """
    node, interface = place
    argv = ["ping", "-n", "-c", str(count), "-i", "0.05", "-W", f"{wait_s:g}", "-I", interface]
    argv += ["-s", str(size - HEADERS), *(["-M", "do"] if df else [])]
    argv += ["-p", mark.hex()] if mark else []
    argv.append(str(destination))
    done = site.testbed[node].run(argv, check=False)
    return parse(done.text, done.stderr.decode(errors="replace"))


def call_out(site: Site, place: Place) -> str:
    """Send a broadcast out of an interface, with its own address; why it could not, or ""."""
    node, interface = place
    done = site.testbed[node].run([PYTHON, _CALL, interface], check=False)
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return "" if done.returncode == 0 else (said[-1] if said else "it could not be sent")


def inject(site: Site, place: Place, *packets: Any, mac: str | None = None) -> str:
    """Send IPv4 packets of Scapy's as they are out of an interface; why it could not, or "".

    With the address of who is to receive them no route is needed.
    """
    node, interface = place
    lines = "".join(f"{bytes(packet).hex()}\n" for packet in packets)
    digits = (mac or "").replace(":", "")
    done = site.testbed[node].run(
        [PYTHON, _INJECT, interface, digits], input=lines.encode(), check=False
    )
    return done.stderr.decode(errors="replace").strip() if done.returncode else ""


def neighbour(site: Site, place: Place) -> str | None:
    """The Ethernet address of the other end of an interface's cable."""
    device = site.plan.node(place[0]).interface(place[1]).device
    if not isinstance(device, Veth):
        return None
    return site.plan.node(device.peer_node).interface(device.peer).mac


def connect(
    site: Site,
    place: Place,
    destination: object,
    port: int,
    *,
    source: str = "",
    wait_s: float = CONNECT_S,
) -> str:
    """Open a TCP connection: "connected", or why not ("Connection refused", "timed out").

    Without an interface in `place` the node's routes decide.
    """
    node, interface = place
    argv = [PYTHON, _CONNECT, interface, str(destination), str(port), f"{wait_s:g}", source]
    done = site.testbed[node].run(argv, check=False)
    if done.returncode == 0:
        return "connected"
    return done.stderr.decode(errors="replace").strip() or "not connected"


def half_open(
    site: Site,
    place: Place,
    own: object,
    destination: object,
    port: int,
    wait_s: float = CONNECT_S,
) -> str:
    """Ask whether a TCP port is open, without a connection: "open", or what came instead.

    `own` is the interface's address to ask from. What listens there is told nothing of it.
    """
    node, interface = place
    asked = (interface, str(own), str(destination), str(port), f"{wait_s:g}")
    return site.testbed[node].run([PYTHON, program("half_open"), *asked]).text


def birdc(site: Site, node: str, *words: str) -> list[str]:
    """What the BIRD of a node says to a command; NetworkError when it does not answer."""
    socket = f"{site.plan.node(node).directory}/bird.ctl"
    done = site.testbed[node].run(["birdc", "-s", socket, *words], check=False)
    if done.returncode:
        hint = done.stderr.decode(errors="replace").strip()
        raise NetworkError(f"the BIRD of {node} does not answer", hint=hint or None)
    return done.text.splitlines()


def route_to(
    site: Site, node: str, destination: object, *, source: object = "", iif: str = ""
) -> str:
    """The route that a node's kernel takes to an address, for what arrives so; or why none."""
    argv = ["ip", "-o", "route", "get", str(destination)]
    argv += ["from", str(source)] if source else []
    argv += ["iif", iif] if iif else []
    done = site.testbed[node].run(argv, check=False)
    text = done.text.strip() or done.stderr.decode(errors="replace").strip()
    return " ".join(text.replace("\\", " ").split())
