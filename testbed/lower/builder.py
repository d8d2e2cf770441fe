"""Mutable drafts of nodes, for the lowering functions to add to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface

from testbed.plan.bgp import Router
from testbed.plan.checks import Check
from testbed.plan.model import (
    BridgePort,
    Interface,
    LinkKind,
    Loopback,
    Neighbor,
    Netem,
    Nexthop,
    Node,
    Plan,
    Process,
    Route,
    Rule,
    Veth,
)
from testbed.plan.queueing import queue_limit
from testbed.plan.roles import Role
from testbed.topology.model import Quality
from testbed.topology.numbers import Numbers

IFNAMSIZ = 15  # characters, without the terminating zero
ETHERNET_MTU = 1500
# worse than any other route's: what the kernel's documentation of VRFs takes for this
LAST_METRIC = 4278198272

# Addresses, protocol and ports of the outer header (Documentation/networking/ip-sysctl.rst).
OUTER_FLOW = 0x0001 | 0x0002 | 0x0004 | 0x0010 | 0x0020

HOST_SYSCTLS = {
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/icmp_ratelimit": "0",
    "net/ipv4/ping_group_range": "0 2147483647",
}
ROUTER_SYSCTLS = HOST_SYSCTLS | {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/ignore_routes_with_linkdown": "1",
    "net/ipv4/conf/default/ignore_routes_with_linkdown": "1",
    # Policy 1 would take the hash that WireGuard leaves on its packets, which is of what is inside:
    # a tunnel, one flow to every router, would take several ways at once.
    "net/ipv4/fib_multipath_hash_policy": "3",
    "net/ipv4/fib_multipath_hash_fields": str(OUTER_FLOW),
}


@lru_cache(1 << 16)
def mac_address(node: str, interface: str) -> str:
    """A locally administered unicast MAC address that depends on nothing but the names."""
    digest = hashlib.sha256(f"{node}/{interface}".encode()).digest()
    return f"02:{digest[:5].hex(':')}"


def _network(destination: IPv4Network | IPv4Address | str) -> str:
    if isinstance(destination, IPv4Address):
        return f"{destination}/32"
    return str(IPv4Network(destination) if isinstance(destination, str) else destination)


def interface_name(prefix: str, name: str, limit: int = IFNAMSIZ) -> str:
    """`prefix` and `name` as an interface name; a name that is too long is cut and hashed."""
    if len(prefix) + len(name) <= limit:
        return prefix + name
    tag = hashlib.sha256(name.encode()).hexdigest()[:4]
    return f"{prefix}{name[: limit - len(prefix) - len(tag)]}{tag}"


def netem(quality: Quality) -> Netem | None:
    """The queueing discipline for a link's quality; None when it needs none."""
    if not quality.delay_ms and not quality.rate_mbps:
        return None
    return Netem(
        delay_ms=quality.delay_ms,
        rate_mbps=quality.rate_mbps,
        limit=queue_limit(quality.rate_mbps, quality.delay_ms, quality.mtu),
    )


@dataclass
class NodeDraft:
    """A node under construction."""

    name: str
    role: Role
    group: str
    title: str
    sysctls: dict[str, str]
    interfaces: list[Interface] = field(default_factory=list)
    neighbors: list[Neighbor] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    nftables: str = ""
    own_ruleset: bool = False
    hardware: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    router: Router | None = None

    def add(
        self,
        name: str,
        device: LinkKind,
        *,
        mtu: int | None = None,
        master: str | None = None,
        addresses: tuple[IPv4Interface, ...] = (),
        netem: Netem | None = None,
        mac: str | None = None,
    ) -> Interface:
        """Add an interface; Ethernet kinds get their MAC address from the names."""
        if mac is None and device.kind in {"veth", "bond", "bridge", "dummy", "vxlan"}:
            mac = mac_address(self.name, name)
        interface = Interface(
            name=name,
            device=device,
            mac=mac,
            mtu=mtu,
            master=master,
            addresses=tuple(str(address) for address in addresses),
            netem=netem,
        )
        self.interfaces.append(interface)
        return interface

    def set_sysctls(self, name: str, sysctls: dict[str, str]) -> None:
        """Set sysctls of an interface that was added before."""
        index, interface = self._find(name)
        self.interfaces[index] = replace(interface, sysctls=interface.sysctls | sysctls)

    def set_port(self, name: str, port: BridgePort | None) -> None:
        """Say how the bridge that an interface belongs to is to treat it."""
        index, interface = self._find(name)
        self.interfaces[index] = replace(interface, port=port)

    def set_up(self, name: str, *, up: bool) -> None:
        """Say whether an interface that was added before is up."""
        index, interface = self._find(name)
        self.interfaces[index] = replace(interface, up=up)

    def lease(self, name: str, address: IPv4Interface) -> None:
        """Say which address a DHCP client is going to put on an interface."""
        index, interface = self._find(name)
        self.interfaces[index] = replace(interface, leased=(str(address),))

    def _find(self, name: str) -> tuple[int, Interface]:
        """An interface and its index; the last ones first, because they are meant most often."""
        for index in range(len(self.interfaces) - 1, -1, -1):
            if self.interfaces[index].name == name:
                return index, self.interfaces[index]
        raise KeyError(f"{self.name}:{name}")

    def address(self, name: str, *addresses: IPv4Interface | IPv6Interface | str) -> None:
        """Give an interface that was added before more addresses."""
        index, interface = self._find(name)
        texts = (*interface.addresses, *(str(address) for address in addresses))
        self.interfaces[index] = replace(interface, addresses=texts)

    def impair(self, name: str, netem: Netem | None) -> None:
        """Set the impairment of what an interface that was added before sends."""
        for index, interface in enumerate(self.interfaces):
            if interface.name == name:
                self.interfaces[index] = replace(interface, netem=netem)

    def loopback(self, *addresses: IPv4Address) -> None:
        """Put host addresses on `lo`."""
        texts = tuple(f"{address}/32" for address in addresses)
        for index, interface in enumerate(self.interfaces):
            if interface.device.kind == "loopback":
                merged = tuple(dict.fromkeys(interface.addresses + texts))
                self.interfaces[index] = replace(interface, addresses=merged)
                return
        self.interfaces.insert(0, Interface("lo", Loopback(), addresses=texts))

    def route(
        self,
        destination: IPv4Network | IPv4Address | str,
        *,
        dev: str | None = None,
        via: IPv4Address | None = None,
        table: int = 254,
        source: IPv4Address | None = None,
        nexthops: tuple[tuple[IPv4Address, str], ...] = (),
    ) -> None:
        """Add a unicast route."""
        self.routes.append(
            Route(
                destination=_network(destination),
                dev=dev,
                via=str(via) if via else None,
                table=table,
                source=str(source) if source else None,
                nexthops=tuple(Nexthop(str(address), name) for address, name in nexthops),
            )
        )

    def build(self) -> Node:
        """The finished node."""
        return Node(
            name=self.name,
            role=self.role,
            group=self.group,
            title=self.title,
            sysctls=self.sysctls,
            interfaces=tuple(self.interfaces),
            neighbors=tuple(self.neighbors),
            routes=tuple(self.routes),
            rules=tuple(self.rules),
            nftables=self.nftables,
            own_ruleset=self.own_ruleset,
            hardware=self.hardware,
            files=self.files,
            processes=tuple(self.processes),
            router=self.router,
        )


class Draft:
    """A plan under construction."""

    def __init__(self, name: str, numbers: Numbers | None = None) -> None:
        self.name = name
        self.numbers = Numbers() if numbers is None else numbers
        self.nodes: dict[str, NodeDraft] = {}
        self.checks: list[Check] = []
        self.names: dict[str, str] = {}

    def router(self, name: str, role: Role, group: str, title: str) -> NodeDraft:
        """Add a node that forwards packets."""
        return self._add(NodeDraft(name, role, group, title, dict(ROUTER_SYSCTLS)))

    def host(self, name: str, role: Role, group: str, title: str) -> NodeDraft:
        """Add a node that does not forward packets."""
        return self._add(NodeDraft(name, role, group, title, dict(HOST_SYSCTLS)))

    def _add(self, node: NodeDraft) -> NodeDraft:
        if node.name in self.nodes:
            raise ValueError(f"node {node.name} lowered twice")
        self.nodes[node.name] = node
        return node

    def cable(
        self,
        a: tuple[NodeDraft, str],
        b: tuple[NodeDraft, str],
        *,
        addresses: tuple[IPv4Interface | None, IPv4Interface | None] = (None, None),
        masters: tuple[str | None, str | None] = (None, None),
        mtu: int = ETHERNET_MTU,
        impairment: Netem | None = None,
        mac: str | None = None,
    ) -> None:
        """Connect two nodes by a veth pair.

        The impairment works in both directions; `mac` is the first end's
        address where it does not follow from the names.
        """
        ends = (a, b)
        for index, (node, name) in enumerate(ends):
            peer_node, peer_name = ends[1 - index]
            address = addresses[index]
            node.add(
                name,
                Veth(peer_node.name, peer_name),
                mtu=mtu,
                master=masters[index],
                addresses=(address,) if address else (),
                netem=impairment,
                mac=None if index else mac,
            )

    def build(self) -> Plan:
        """The finished plan."""
        nodes = tuple(node.build() for node in self.nodes.values())
        return Plan(self.name, nodes, tuple(self.checks), names=self.names)


def point_to_point(base: IPv4Network, index: int) -> tuple[IPv4Interface, IPv4Interface]:
    """The two addresses of the `index`-th /31 of `base`."""
    low = base.network_address + 2 * index
    if low + 1 not in base:
        raise ValueError(f"{base} has no {index}th /31")
    return IPv4Interface((low, 31)), IPv4Interface((low + 1, 31))
