"""A node of a running testbed: commands, probes and captures in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed.control.client import Completed
from testbed.control.protocol import netns_link
from testbed.errors import HostError, NetworkError, UsageError
from testbed.lifecycle.addresses import address_of
from testbed.testing import states

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pyroute2 import IPRoute
    from scapy.packet import Packet

    from testbed.probes.bgp import BgpSession
    from testbed.probes.capture import Capture
    from testbed.probes.dns import DnsAnswer
    from testbed.probes.http import HttpReply
    from testbed.probes.ping import PingResult
    from testbed.probes.throughput import Throughput
    from testbed.testing.packets import Expectation, Wanted
    from testbed.testing.testbed import Testbed

RUN_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class InterfaceState:
    """An interface as the kernel reports it. `carrier` is false while it is down."""

    name: str
    kind: str
    mac: str
    mtu: int
    carrier: bool
    master: str | None
    addresses: tuple[str, ...]


class Node:
    """A node of a running testbed."""

    def __init__(self, testbed: Testbed, name: str) -> None:
        self.testbed = testbed
        self.name = name

    def __repr__(self) -> str:
        return f"<Node {self.name} of {self.testbed.name}>"

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """Return the node's first address; one on `lo` only if it has no other."""
        return address_of(self.testbed.plan, self.name)

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: bytes | None = None,  # noqa: A002 - the name that subprocess.run has
        env: Mapping[str, str] | None = None,
        timeout: float | None = RUN_TIMEOUT_S,
    ) -> Completed:
        """Run a command, for at most `timeout` seconds.

        With `check`, raises NetworkError with the output if the command fails.
        """
        if isinstance(argv, str):
            raise UsageError("run() takes a list of words, not a command line for a shell")
        done = self.testbed.client.run(self.name, argv, input=input, env=env, timeout=timeout)
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
        """Ping a node or an address.

        `size` is that of the payload in bytes; the IP packet is 28 bytes larger, with IPv6 48.
        """
        from testbed.probes.ping import ping  # noqa: PLC0415

        address = self.testbed.address(destination, self.name)
        return ping(
            self.testbed.client,
            self.name,
            address,
            count=count,
            size=size,
            df=df,
            interval_s=interval_s,
        )

    def throughput(
        self,
        destination: Node | str,
        *,
        seconds: float = 5.0,
        udp_mbps: float | None = None,
        reverse: bool = False,
        parallel: int = 1,
        port: int = 5201,
    ) -> Throughput:
        """Measure throughput to a node with iperf3, as `testbed perf` does. Needs real time."""
        from testbed.probes.throughput import measure  # noqa: PLC0415

        testbed = self.testbed
        names = (self.name, str(destination), testbed.address(destination, self.name))
        options: dict[str, Any] = {"seconds": seconds, "udp_mbps": udp_mbps, "port": port}
        options |= {"reverse": reverse, "parallel": parallel}
        return measure(testbed.client, testbed.plan, *names, **options)

    def capture(self, interface: str = "eth0", filter: str = "") -> Capture:  # noqa: A002
        """Capture the packets that match the pcap-filter(7) `filter`, in a `with` block.

        The interface "any" means all cables and tunnels of the node.
        """
        from testbed.probes.capture import Capture  # noqa: PLC0415
        from testbed.probes.capture_points import point, select  # noqa: PLC0415

        plan = self.testbed.plan
        anywhere = interface == "any"
        places = select(plan, [self.name]) if anywhere else [point(plan.node(self.name), interface)]
        return Capture(self.testbed.client, places, filter)

    def iproute(self) -> IPRoute:
        """Return the node's kernel tables as pyroute2's `IPRoute`, for a `with` block.

        Works only for root's testbeds on this kernel. Raises HostError in a
        micro VM and without root; use `run(["ip", "-json", …])` there.
        """
        from testbed.kernel.namespace import iproute  # noqa: PLC0415

        link = netns_link(self.testbed.name, self.name)
        if not link.exists():
            hint = 'use run(["ip", "-json", …]) there'
            text = "runs in a micro VM, or as an ordinary user: its namespaces cannot be entered"
            raise HostError(f"{self.testbed.name} {text}", hint=hint)
        return iproute(link)

    def http(self, url: str, *, timeout_s: float = 5.0) -> HttpReply:
        """GET an http URL. Its host may be the name of a node, or of a service address."""
        from urllib.parse import urlsplit  # noqa: PLC0415

        from testbed.probes.http import get  # noqa: PLC0415

        parts = urlsplit(url)
        host = parts.hostname or ""
        plan = self.testbed.plan
        if host in plan.names or any(node.name == host for node in plan.nodes):
            place = parts.netloc.replace(host, self.testbed.address(host, self.name), 1)
            url = parts._replace(netloc=place).geturl()
        return get(self.testbed.client, self.name, url, timeout_s=timeout_s)

    # Packets

    def send(
        self,
        packets: Packet | Iterable[Packet],
        *,
        interface: str | None = None,
        count: int = 1,
        interval_s: float = 0.0,
    ) -> int:
        """Send Scapy packets from the node, all of them `count` times. Returns how many were sent.

        The node's kernel routes packets that start with `IP` or `IPv6`. Packets that start with
        `Ether` leave by `interface` unchanged; their `dst` must be given. Missing source
        addresses are the node's. Raises NetworkError if the kernel refuses a packet, for example
        because it is larger than the MTU.
        """
        from testbed.testing.packets import send  # noqa: PLC0415

        return send(self, packets, interface=interface, count=count, interval_s=interval_s)

    def expect(
        self,
        interface: str = "eth0",
        wanted: Wanted | None = None,
        *,
        count: int = 1,
        timeout: float = 5.0,
    ) -> Expectation:
        """Expect `count` packets at an interface in a `with` block, or soon after it.

        `wanted` is a pcap-filter(7), or a function of a Scapy packet. Packets in both directions
        count. The end of the block waits for them up to `timeout` seconds, then raises
        AssertionError with what was seen instead. With ``count=0`` none may come in the block
        and the `timeout` after it.
        """
        from testbed.testing.packets import Expectation  # noqa: PLC0415

        return Expectation(self, interface, wanted, count=count, timeout=timeout)

    def mac(self, interface: str) -> str:
        """Return the MAC address of an interface. Raises UsageError if the node has no such one."""
        return self._interface(interface).mac

    def source_address(self, version: int = 4, interface: str | None = None) -> str:
        """Return the address of IP version 4 or 6 of an interface, else of the node."""
        found = self.interfaces()
        chosen = [self._interface(interface)] if interface else list(found.values())
        for state in sorted(chosen, key=lambda state: state.name == "lo"):
            for address in state.addresses:
                is_local = address.startswith(("fe80:", "127.", "::1/"))
                if (":" in address) == (version == 6) and not is_local:
                    return address.partition("/")[0]
        if interface:
            return self.source_address(version)
        raise UsageError(f"{self.name} has no IPv{version} address to send from")

    def _interface(self, name: str) -> InterfaceState:
        found = self.interfaces()
        if name not in found:
            hint = f"interfaces: {', '.join(found)}"
            raise UsageError(f"{self.name} has no interface {name!r}", hint=hint)
        return found[name]

    # States

    def _observe(self) -> dict[str, Any]:
        found: dict[str, Any] = self.testbed.client.observe([self.name])[self.name]
        return found

    def interfaces(self) -> dict[str, InterfaceState]:
        """Return the interfaces by name."""
        return {
            name: InterfaceState(
                name,
                link["kind"],
                link["mac"],
                link["mtu"],
                link["carrier"],
                link["master"],
                tuple(link["addresses"]),
            )
            for name, link in self._observe()["links"].items()
        }

    def lacp(self) -> list[states.Lag]:
        """Return the LAGs, with the LACP state of every member."""
        return states.lags(self._observe())

    def tunnels(self) -> list[states.Tunnel]:
        """Return the WireGuard tunnels."""
        return states.tunnels(self._observe())

    def counters(self) -> dict[str, states.Counters]:
        """Return the counters of each interface. The difference of two readings can be taken."""
        return states.counters(self._observe())

    def nft_counters(self) -> list[states.NftCounter]:
        """Return the counters in the node's nftables ruleset, in its order."""
        return states.nft_counters(self._observe()["nftables"])

    def bgp(self, *, routes: bool = True) -> list[BgpSession]:
        """Return the BGP sessions, with their received and announced routes.

        Raises UsageError if the node runs no BGP daemon.
        """
        from testbed.probes.bgp import sessions  # noqa: PLC0415

        return sessions(self.testbed.client, self.testbed.plan.node(self.name), routes=routes)

    def resolve(
        self,
        name: str,
        type: str = "A",  # noqa: A002 - DNS's word
        *,
        server: str | None = None,
        timeout_s: float = 3.0,
    ) -> DnsAnswer:
        """Ask the node's resolver, or `server`, for the records of a fully qualified name.

        Raises NetworkError if no server answers within `timeout_s` seconds.
        """
        from testbed.probes.dns import resolve  # noqa: PLC0415

        address = self.testbed.address(server, self.name) if server else None
        return resolve(
            self.testbed.client, self.name, name, type, server=address, timeout_s=timeout_s
        )
