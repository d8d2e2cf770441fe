"""What test suites and support bundles ask about single nodes, and packets they send from them.

All of it without starting a process in the node.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from dataclasses import asdict
from socket import AF_INET6
from typing import TYPE_CHECKING, Any

from testbed.errors import NetworkError, UsageError
from testbed.keeper import bird, frr
from testbed.kernel import nftables, observe
from testbed.kernel.namespace import inside
from testbed.kernel.packets import Sender
from testbed.plan.model import WireGuard

if TYPE_CHECKING:
    from testbed.plan.model import Node

Row = dict[str, Any]
BIRD, FRR = "bird", ("bgpd", "zebra", "staticd", "bfdd", "ospfd")


def node_state(node: Node, fd: int) -> Row:
    """Interfaces with counters and LACP state, addresses, WireGuard peers and the ruleset."""
    addresses = observe.addresses(fd)
    for interface, more in observe.addresses(fd, AF_INET6).items():
        addresses.setdefault(interface, []).extend(more)
    found = observe.links(fd)
    links = {name: asdict(link) for name, link in found.items()}
    for name, link in links.items():
        link["addresses"] = addresses.get(name, [])
        if link["member"] is not None:
            link["problem"] = observe.members(found, link["master"]).get(name)
    with inside(fd):
        ruleset = nftables.run("list ruleset")
    return {"links": links, "tunnels": _tunnels(node, fd), "nftables": ruleset}


def _tunnels(node: Node, fd: int) -> list[Row]:
    now = time.time()
    rows = []
    for interface in node.interfaces:
        if not isinstance(interface.device, WireGuard):
            continue
        names = {peer.public_key: peer.name for peer in interface.device.peers}
        try:
            peers = observe.wireguard_peers(fd, interface.name)
        except OSError:
            continue  # it is gone: what isn't there is not listed
        rows += [
            {
                "interface": interface.name,
                "peer": names.get(key, key),
                "public_key": key,
                "endpoint": peer.endpoint,
                "handshake_age_s": now - peer.handshake if peer.handshake else None,
                "rx_bytes": peer.rx_bytes,
                "tx_bytes": peer.tx_bytes,
            }
            for key, peer in peers.items()
        ]
    return rows


def ask(node: Node, request: Row) -> list[str]:
    """What a routing daemon of the node answers on its own control socket, for each command."""
    daemon, commands = str(request.get("daemon")), request.get("commands")
    known = [process.name for process in node.processes]
    if daemon not in known or daemon not in {BIRD, *FRR}:
        daemons = [name for name in known if name in {BIRD, *FRR}]
        hint = f"it runs {', '.join(daemons)}" if daemons else "it runs no routing daemon"
        raise UsageError(f"no routing daemon {daemon[:80]!r} in {node.name}", hint=hint)
    if not isinstance(commands, list) or any(not str(c).isprintable() for c in commands):
        raise UsageError("commands of a routing daemon are a list of single lines")
    try:
        if daemon == BIRD:
            path = f"{node.directory}/bird.ctl"
            return ["\n".join(bird.ask(path, str(command))) for command in commands]
        path = f"{node.directory}/{daemon}.vty"
        return [frr.ask(path, str(command)) for command in commands]
    except (bird.BirdError, frr.FrrError) as error:
        raise NetworkError(f"{daemon} in {node.name} does not answer: {error}") from error


async def send(node: Node, fd: int, request: Row) -> int:
    """Send the request's packets; how many were sent. NetworkError with the kernel's reason."""
    layer, interface = request.get("layer"), request.get("interface")
    if layer not in {"link", "network"} or (layer == "link" and not interface):
        raise UsageError("packets are sent at layer link, from an interface, or network")
    try:
        packets = [base64.b64decode(text, validate=True) for text in request["packets"]]
        count, interval = int(request.get("count", 1)), float(request.get("interval_s", 0))
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise UsageError("packets to send are a list of texts in base64") from None
    if any(len(packet) < (40 if packet[:1] >= b"\x60" else 20) for packet in packets):
        raise UsageError("a packet is shorter than its header")
    try:
        sender = Sender(fd, layer, interface)
        try:
            for number in range(count):
                if number:
                    await asyncio.sleep(interval)  # of 0, too: others have their turn
                await sender.send(packets)
        finally:
            sender.close()
    except OSError as error:
        where = f"{node.name}, {interface}" if interface else node.name
        reason = error.strerror or str(error)
        raise NetworkError(f"cannot send from {where}: {reason}") from error
    return count * len(packets)
