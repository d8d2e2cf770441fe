"""The ring of plumbing.make_plan as Mininet builds it; prints milliseconds.

    /usr/bin/python3 benchmarks/mininet_peer.py NODES LINKS

Run by benchmarks/up with the Python that Debian's package `mininet` is for.
No switch and no controller: a `Node` for each node, a `Link` for each link, an
address at each end. The routes are left out, since Mininet has no call for them.
"""

from __future__ import annotations

import resource
import sys
import time

from mininet.link import Link  # type: ignore[import-not-found]
from mininet.node import Node  # type: ignore[import-not-found]


def build(nodes: int, links: int) -> list[Node]:
    """Make everything; the nodes."""
    made = [Node(f"n{i}") for i in range(nodes)]
    for node in made:
        node.config(lo="up")
    for number in range(links):
        a = number % nodes
        b = (a + 1 + number // nodes * 7) % nodes
        link = Link(made[a], made[b])
        for end, interface in enumerate((link.intf1, link.intf2)):
            low = 2 * number + end
            interface.setIP(f"10.{low >> 16 & 255}.{low >> 8 & 255}.{low & 255}", 31)
    return made


def main() -> None:
    """Build, print the time, check, tear down."""
    nodes, links = int(sys.argv[1]), int(sys.argv[2])
    # Its helper closes every file up to the limit, in each node: the fewer the faster.
    limit = max(1024, 64 + 4 * nodes)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    start = time.perf_counter()
    made = build(nodes, links)
    taken = (time.perf_counter() - start) * 1000
    shells = [node.shell for node in made]
    lines = made[0].cmd("ip -o -4 address show up").splitlines()
    missing = len(lines) != 1 + len(made[0].intfList())
    for node in made:
        node.terminate()
    for shell in shells:
        shell.wait()
    if missing:
        sys.exit(f"addresses are missing: {lines}")
    print(f"{taken:.3f}")


if __name__ == "__main__":
    main()
