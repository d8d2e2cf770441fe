#!/usr/bin/env python3
"""Namespaces, links, addresses and routes: what a testbed's plumbing costs.

Builds the same chain of nodes by the testbed (`diff` and `Kernel.apply`), by
one `ip` command per object as Mininet and shell scripts do it, by `ip
-batch`, and by pyroute2, and prints milliseconds and how many times as long
as the testbed each one takes. Needs root; everything is made in namespaces.

    sudo python benchmarks/plumbing.py [--repeat N] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from testbed.kernel import namespace, observe
from testbed.kernel.apply import Kernel
from testbed.plan.diff import diff
from testbed.plan.model import Interface, Node, Plan, Route, Veth
from testbed.plan.roles import Role

EMPTY = Plan("plumbing", ())
SIZES = ((3, 4), (40, 60), (500, 750))
PREFIX = "plumb"


def make_plan(nodes: int, links: int) -> Plan:
    """A ring of nodes and chords, a /31 on each link, a route per interface."""
    interfaces: list[list[Interface]] = [[] for _ in range(nodes)]
    routes: list[list[Route]] = [[] for _ in range(nodes)]
    for link in range(links):
        a = link % nodes
        b = (a + 1 + link // nodes * 7) % nodes
        low = (10 << 24) + 2 * link
        for end, other, number in ((a, b, 0), (b, a, 1)):
            address = _dotted(low + number)
            interfaces[end].append(
                Interface(
                    f"e{link}",
                    Veth(f"n{other}", f"e{link}"),
                    mac=f"02:00:{number:02x}:00:{link >> 8:02x}:{link & 255:02x}",
                    mtu=1500,
                    addresses=(f"{address}/31",),
                )
            )
            target = f"{_dotted((172 << 24) + (link << 8))}/24"
            routes[end].append(Route(target, via=_dotted(low + 1 - number), dev=f"e{link}"))
    made = (
        Node(
            f"n{i}", Role.VPC_ROUTER, "g", interfaces=tuple(interfaces[i]), routes=tuple(routes[i])
        )
        for i in range(nodes)
    )
    return Plan("plumbing", tuple(made))


def _dotted(number: int) -> str:
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def testbed(plan: Plan) -> float:
    """The project's own way; the diff is part of the time."""
    start = time.perf_counter()
    kernel = Kernel()
    kernel.apply(diff(EMPTY, plan))
    taken = time.perf_counter() - start
    links = observe.links(kernel.fd(plan.nodes[-1].name))
    missing = [i.name for i in plan.nodes[-1].interfaces if not links[i.name].carrier]
    if missing:
        raise SystemExit(f"not up: {missing}")
    kernel.close()
    return taken


def _first_ends(plan: Plan) -> Iterator[tuple[str, Interface]]:
    """(node, interface) of one end of each link."""
    for node in plan.nodes:
        for end in node.interfaces:
            assert isinstance(end.device, Veth)
            if (node.name, end.name) < (end.device.peer_node, end.device.peer):
                yield node.name, end


def _commands(plan: Plan) -> Iterator[tuple[str | None, list[str]]]:
    """(node, `ip` arguments) of everything, in the order a script would have."""
    for node in plan.nodes:
        yield None, ["netns", "add", PREFIX + node.name]
        yield node.name, ["link", "set", "lo", "up"]
    for name, end in _first_ends(plan):
        assert isinstance(end.device, Veth)
        other = ["peer", "name", end.device.peer, "netns", PREFIX + end.device.peer_node]
        yield name, ["link", "add", end.name, "type", "veth", *other]
    for node in plan.nodes:
        for i in node.interfaces:
            yield node.name, ["address", "add", i.addresses[0], "dev", i.name]
            yield node.name, ["link", "set", i.name, "address", str(i.mac), "up"]
    for node in plan.nodes:
        for route in node.routes:
            where = ["via", str(route.via), "dev", str(route.dev)]
            yield node.name, ["route", "add", route.destination, *where]


def _remove(plan: Plan) -> None:
    lines = "".join(f"netns delete {PREFIX}{node.name}\n" for node in plan.nodes)
    subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)


def ip_commands(plan: Plan) -> float:
    """One `ip` process per object."""
    start = time.perf_counter()
    for node, arguments in _commands(plan):
        inside = ["-n", PREFIX + node] if node else []
        subprocess.run(["ip", *inside, *arguments], check=True)
    taken = time.perf_counter() - start
    _remove(plan)
    return taken


def ip_exec_commands(plan: Plan) -> float:
    """One `ip netns exec` per object: a shell in each node, Mininet's way."""
    start = time.perf_counter()
    for node, arguments in _commands(plan):
        inside = ["ip", "netns", "exec", PREFIX + node] if node else []
        subprocess.run([*inside, "ip", *arguments], check=True)
    taken = time.perf_counter() - start
    _remove(plan)
    return taken


def ip_batch(plan: Plan) -> float:
    """One `ip -batch` per namespace and kind of object."""
    start = time.perf_counter()
    batches: dict[tuple[str, str | None], list[str]] = {}
    for node, arguments in _commands(plan):
        kind = "cable" if "veth" in arguments else arguments[0]
        batches.setdefault((kind, node), []).append(" ".join(arguments))
    for kind in ("netns", "cable", "link", "address", "route"):
        for (each, node), lines in batches.items():
            if each == kind:
                inside = ["-n", PREFIX + node] if node else []
                text = "\n".join(lines) + "\n"
                subprocess.run(["ip", *inside, "-batch", "-"], input=text, text=True, check=True)
    taken = time.perf_counter() - start
    _remove(plan)
    return taken


def pyroute2(plan: Plan) -> float:
    """pyroute2's IPRoute: a socket per namespace, opened under setns in this process."""
    from pyroute2 import IPRoute  # noqa: PLC0415

    start = time.perf_counter()
    fds: dict[str, int] = {}
    sockets = {}
    with namespace.preserved():
        for node in plan.nodes:
            namespace.create()
            fds[node.name] = namespace.current()
            sockets[node.name] = IPRoute()
            sockets[node.name].link("set", index=1, state="up")
    for name, end in _first_ends(plan):
        assert isinstance(end.device, Veth)
        peer = {"ifname": end.device.peer, "net_ns_fd": fds[end.device.peer_node]}
        sockets[name].link("add", ifname=end.name, kind="veth", peer=peer)
    for node in plan.nodes:
        ipr = sockets[node.name]
        indexes = {i.name: ipr.link_lookup(ifname=i.name)[0] for i in node.interfaces}
        for i in node.interfaces:
            ipr.link("set", index=indexes[i.name], address=i.mac, mtu=i.mtu, state="up")
            address = i.addresses[0].partition("/")[0]
            ipr.addr("add", index=indexes[i.name], address=address, prefixlen=31)
    for node in plan.nodes:
        ipr = sockets[node.name]
        for route in node.routes:
            ipr.route("add", dst=route.destination, gateway=route.via)
    taken = time.perf_counter() - start
    for ipr in sockets.values():
        ipr.close()
    for fd in fds.values():
        os.close(fd)
    return taken


WAYS: dict[str, Callable[[Plan], float]] = {
    "testbed": testbed,
    "pyroute2 IPRoute": pyroute2,
    "ip -batch per namespace": ip_batch,
    "ip per object": ip_commands,
    "ip netns exec per object": ip_exec_commands,
}


def measure(repeat: int) -> list[dict[str, object]]:
    """Rows of nodes, links, way, milliseconds (median) and the ratio to the testbed's."""
    rows: list[dict[str, object]] = []
    for nodes, links in SIZES:
        plan = make_plan(nodes, links)
        own = 0.0
        for name, way in WAYS.items():
            if nodes > 100 and way not in (testbed, pyroute2):
                continue
            way(plan)  # the first time loads modules and libraries
            taken = [way(plan) for _ in range(repeat)]
            milliseconds = statistics.median(taken) * 1000
            own = own or milliseconds
            row = {"nodes": nodes, "links": links, "way": name, "ms": round(milliseconds, 1)}
            rows.append(row | {"times": round(milliseconds / own, 1)})
            size = f"{nodes:4} nodes {links:4} links"
            ratio = f"{milliseconds / own:7.1f} x"
            print(f"{size}  {name:26} {milliseconds:9.1f} ms  {ratio}", file=sys.stderr)
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("network namespaces need root")
    namespace.raise_file_limit()
    rows = measure(arguments.repeat)
    if arguments.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
