"""`testbed-layer2`: announces service addresses on an interface, where it is this node's turn.

Its file says the node's own name, its address and port for heartbeats, the other nodes', and for
each service its address, its interface and its nodes. What it knows it tells at its control
socket.
"""

from __future__ import annotations

import contextlib
import errno
import json
import selectors
import socket
import time
from pathlib import PurePath
from typing import Any

from testbed.programs import waiting
from testbed.programs.inquiries import RELOAD, Inquiries
from testbed.programs.layer2 import arp
from testbed.programs.layer2.election import speaker
from testbed.programs.layer2.members import Members, Outgoing

ANNOUNCED_FOR_S, ANNOUNCED_EVERY_S = 5.0, 1.1  # gratuitous ARP after a takeover (MetalLB's)
BIND_RETRY_S = 0.2  # until the node has its address: a lease may be to come
LONGEST = 65536


class Announcer:
    """What one node does for its services."""

    def __init__(self, declared: dict[str, Any], selector: waiting.Selector) -> None:
        self._selector = selector
        self._own: str = declared["node"]
        self._services: dict[str, dict[str, Any]] = declared["services"]
        self._addresses: dict[str, str] = declared["others"]
        self._port: int = declared["port"]
        self._names = {address: name for name, address in self._addresses.items()}
        self._heartbeats = _bound(declared["address"], self._port)
        selector.register(self._heartbeats, selectors.EVENT_READ, self._hear)
        self._members = Members(self._own, tuple(sorted(self._addresses)), time.monotonic())
        self._wires = {
            name: self._wire(name) for name in {s["interface"] for s in self._services.values()}
        }
        self._announces: dict[str, float] = {}  # a service, and when it is next told everybody
        self._since: dict[str, float] = {}

    def _wire(self, interface: str) -> socket.socket:
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(arp.ETHERTYPE))
        wire.bind((interface, arp.ETHERTYPE))
        wire.setblocking(False)
        self._selector.register(wire, selectors.EVENT_READ, lambda _: self._asked(wire))
        return wire

    def end(self) -> None:
        """Close its sockets, as when it is started anew."""
        for sock in (self._heartbeats, *self._wires.values()):
            self._selector.unregister(sock)
            sock.close()

    def known(self) -> dict[str, Any]:
        """What this node holds the others for, and what it announces."""
        return {"members": self._members.states(), "announces": sorted(self._since)}

    def due(self) -> float:
        """When there is something to do next."""
        return min([self._members.due(), *self._announces.values()])

    def work(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if now >= self._members.due():
            self._send(self._members.tick(now))
        self._elect(now)
        for name, at in list(self._announces.items()):
            if now >= at:
                self._tell_everybody(name, now)

    def _elect(self, now: float) -> None:
        living = set(self._members.living())
        for name, service in self._services.items():
            chosen = speaker(service["address"], living & set(service["nodes"]))
            mine = chosen == self._own and self._members.joined
            if mine and name not in self._since:
                self._since[name] = self._announces[name] = now
                print(f"announces {name}", flush=True)  # noqa: T201 - the log
            elif not mine and name in self._since:
                del self._since[name]
                self._announces.pop(name, None)
                print(f"leaves {name} to {chosen}", flush=True)  # noqa: T201

    def _tell_everybody(self, name: str, now: float) -> None:
        service = self._services[name]
        wire = self._wires[service["interface"]]
        for frame in arp.gratuitous(_mac(wire), service["address"]):
            with contextlib.suppress(OSError):  # the interface is down
                wire.send(frame)
        self._announces[name] = now + ANNOUNCED_EVERY_S
        if now + ANNOUNCED_EVERY_S >= self._since[name] + ANNOUNCED_FOR_S:
            del self._announces[name]

    def _asked(self, wire: socket.socket) -> None:
        try:
            frame, peer = wire.recvfrom(LONGEST)
        except OSError:  # the interface went down
            return
        asked = arp.question(frame, _mac(wire))
        if asked is None or peer[2] == socket.PACKET_OUTGOING:
            return
        interface = peer[0]
        for name in self._since:
            service = self._services[name]
            if (service["address"], service["interface"]) == (asked.wanted, interface):
                with contextlib.suppress(OSError):
                    wire.send(arp.reply(_mac(wire), asked))

    def _hear(self, _: int) -> None:
        try:
            data, (address, _port) = self._heartbeats.recvfrom(LONGEST)
        except OSError:  # a member is not there: its silence is what counts
            return
        sender = self._names.get(address)
        if sender is not None:
            message = json.loads(data)
            self._send(self._members.hear(time.monotonic(), sender, message))
            self._elect(time.monotonic())

    def _send(self, messages: Outgoing) -> None:
        for name, message in messages:
            data = json.dumps(message, separators=(",", ":")).encode()
            with contextlib.suppress(OSError):  # there is no way to it
                self._heartbeats.sendto(data, (self._addresses[name], self._port))


def _mac(wire: socket.socket) -> bytes:
    return bytes(wire.getsockname()[4])


def _bound(address: str, port: int) -> socket.socket:
    """Return the socket for heartbeats, once the node has its address."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    while True:
        try:
            sock.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            waiting.sleep(BIND_RETRY_S)
        else:
            return sock


def _declared(file: str) -> dict[str, Any]:
    with open(file, encoding="utf-8") as source:  # noqa: PTH123 - as the other programs
        found: dict[str, Any] = json.load(source)
    return found


def main(argv: list[str]) -> None:
    """`testbed-layer2 FILE`."""
    (file,) = argv
    selector = waiting.Selector()
    announcer = Announcer(_declared(file), selector)
    stale = False

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        nonlocal stale
        stale = stale or request.get("op") == RELOAD
        return announcer.known()

    Inquiries(str(PurePath(file).with_suffix(".ctl")), selector, answer)
    while True:
        if stale:
            announcer.end()
            announcer, stale = Announcer(_declared(file), selector), False
        announcer.work()
        for key, events in selector.select(max(0.0, announcer.due() - time.monotonic())):
            with contextlib.suppress(OSError):
                key.data(events)
