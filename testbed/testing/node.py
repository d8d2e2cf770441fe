"""A node of a running testbed: commands, probes and captures in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.bringup import address_of
from testbed.client import Completed
from testbed.errors import HostError, NetworkError, UsageError
from testbed.protocol import netns_link

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyroute2 import IPRoute

    from testbed.probes.capture import Capture
    from testbed.probes.http import HttpReply
    from testbed.probes.ping import PingResult
    from testbed.testing.testbed import Testbed

RUN_TIMEOUT_S = 60.0


class Node:
    """A node of a running testbed."""

    def __init__(self, testbed: Testbed, name: str) -> None:
        self._testbed = testbed
        self.name = name

    def __repr__(self) -> str:
        return f"<Node {self.name} of {self._testbed.name}>"

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """The node's first address; on `lo` only where it has no other."""
        return address_of(self._testbed.plan, self.name)

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: bytes | None = None,  # noqa: A002 - the name that subprocess.run has
        env: Mapping[str, str] | None = None,
        timeout: float | None = RUN_TIMEOUT_S,
    ) -> Completed:
        """Run a command; with `check`, NetworkError with what it wrote when it fails."""
        if isinstance(argv, str):
            raise UsageError("run() takes a list of words, not a command line for a shell")
        done = self._testbed.client.run(self.name, argv, input=input, env=env, timeout=timeout)
        if check and done.returncode:
            message = f"{' '.join(argv)} in {self.name}: exit status {done.returncode}"
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise NetworkError(message, hint=said or None)
        return done

    def ping(
        self,
        destination: Node | str,
        *,
        count: int = 3,
        size: int = 56,
        df: bool = False,
        interval_s: float = 0.2,
    ) -> PingResult:
        """Ping a node or an address. `size` is the payload: the IP packet has 28 bytes more."""
        from testbed.probes.ping import ping  # noqa: PLC0415

        address = self._testbed.address(destination)
        return ping(
            self._testbed.client,
            self.name,
            address,
            count=count,
            size=size,
            df=df,
            interval_s=interval_s,
        )

    def capture(self, interface: str = "eth0", filter: str = "") -> Capture:  # noqa: A002
        """Capture in a `with` block what pcap-filter(7) `filter` lets through."""
        from testbed.probes.capture import Capture  # noqa: PLC0415

        return Capture(self._testbed.client, self.name, interface, filter)

    def iproute(self) -> IPRoute:
        """The node's kernel tables as pyroute2's `IPRoute`; use it in a `with` block.

        Only where the testbed is root's and runs on this kernel: HostError in a
        micro VM and without root, where `run(["ip", "-json", …])` does.
        """
        from testbed.kernel.namespace import iproute  # noqa: PLC0415

        link = netns_link(self._testbed.name, self.name)
        if not link.exists():
            hint = 'use run(["ip", "-json", …]) there'
            text = "runs in a micro VM, or as an ordinary user: its namespaces can't be entered"
            raise HostError(f"{self._testbed.name} {text}", hint=hint)
        return iproute(link)

    def http(self, url: str, *, timeout_s: float = 5.0) -> HttpReply:
        """GET an http URL; a host that is a node's name stands for its address."""
        from urllib.parse import urlsplit  # noqa: PLC0415

        from testbed.probes.http import get  # noqa: PLC0415

        host = urlsplit(url).hostname or ""
        if any(node.name == host for node in self._testbed.plan.nodes):
            url = url.replace(host, self._testbed.address(host), 1)
        return get(self._testbed.client, self.name, url, timeout_s=timeout_s)
