"""Plans by the number: small, valid, and alike when their numbers are.

`make_plan` asks a `Genes` for every choice by name. Two plans whose genes
differ in a few names differ in a few places, which is what a diff is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TypeVar
from zlib import crc32

from testbed.plan.bgp import Instance, Router, Session
from testbed.plan.checks import LagCheck, LinkCheck
from testbed.plan.model import (
    Bond,
    Bridge,
    BridgePort,
    Dummy,
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
    Vlan,
    Vrf,
    Vxlan,
    WireGuard,
    WireGuardPeer,
)
from testbed.plan.roles import Role

T = TypeVar("T")
PEER = Session("peer", "e0", "10.0.0.0", "10.0.0.1", 65001, "to the peer")
ROUTERS = (
    Router("10.0.0.0", (Instance("t_main", None, 254, 65000, (PEER,)),)),
    Router("10.0.0.0", (Instance("t_main", None, 254, 65000, (PEER,)),), "frr"),
)
NODES = ("n0", "n1", "n2", "n3")
KEY = "QGTzw1EP9Sh7Cm0ZVJOHhQGSmLbEHVqZV9QzD5sBM2g="


@dataclass(frozen=True)
class Genes:
    """Choices by name; `mutations` of a thousand are other than in those without."""

    seed: int
    mutations: int = 0
    mutation_seed: int = 0

    def pick(self, name: str, options: Sequence[T]) -> T:
        """The choice of that name."""
        seed = self.seed
        if _number(f"m{self.mutation_seed}/{name}") % 1000 < self.mutations:
            seed += 1 + self.mutation_seed
        return options[_number(f"{seed}/{name}") % len(options)]


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big")


def make_plan(genes: Genes) -> Plan:
    """A plan in which everything that can differ may differ."""
    names = [name for name in NODES if genes.pick(f"{name}?", (True, True, True, False))]
    devices: dict[str, dict[str, LinkKind]] = {name: {} for name in names}
    if names:
        for cable in range(6):
            _lay(genes, names, devices, cable)
    nodes = tuple(_node(genes, name, names, devices[name]) for name in names)
    checks = (LinkCheck("n0", "e0"), LagCheck("n1", "bond0", ("e1", "e2"), "LAG"))
    return Plan("random", nodes, checks)


def _lay(
    genes: Genes, names: list[str], devices: dict[str, dict[str, LinkKind]], cable: int
) -> None:
    if genes.pick(f"cable{cable}?", (True, True, True, False)):
        a = genes.pick(f"cable{cable}.a", names)
        b = genes.pick(f"cable{cable}.b", names)
        end_a = f"e{cable}"
        end_b = f"f{cable}" if a == b else genes.pick(f"cable{cable}.name", (end_a, f"f{cable}"))
        devices[a][end_a] = Veth(b, end_b)
        devices[b][end_b] = Veth(a, end_a)


def _node(genes: Genes, name: str, names: list[str], veths: dict[str, LinkKind]) -> Node:
    def pick(key: str, *options: T) -> T:
        return genes.pick(f"{name}.{key}", options)

    devices = dict(veths)
    devices |= {
        key: device for key, device in _virtual(genes, name, names).items() if pick(key, 1, 1, 0)
    }
    masters = _masters(genes, name, devices)
    carriers = [
        key for key in devices if key not in masters and devices[key].kind in {"veth", "bond"}
    ]
    if pick("v0", True, False) and carriers:
        parent = genes.pick(f"{name}.v0.parent", carriers)
        devices["v0"] = Vlan(parent, pick("v0.vid", 5, 6))
        if pick("v1", 1, 0):
            devices["v1"] = Vlan("v0", 7)
    if "red" in devices:
        for key in ("v0", "v1", "e5", "f5", "bond0"):
            if key in devices and key not in masters and pick(f"{key}.vrf", 1, 0):
                masters[key] = "red"
    interfaces = tuple(
        _interface(genes, name, key, device, masters.get(key))
        for key, device in sorted(devices.items())
    )
    files = {key: pick(f"{key}.text", "a", "b") for key in ("x", "y") if pick(key, 1, 0)}
    all_rules = (
        Rule(100, 10),
        Rule(100, 10, iif="e0"),
        Rule(200, 500, source="10.0.0.0/8", fwmark=1),
    )
    return Node(
        name,
        pick("role", Role.HOST, Role.WAN),
        "g",
        sysctls={
            key: pick(key, "0", "1") for key in ("net/a", "net/b") if pick(f"{key}?", *[1] * 9, 0)
        },
        interfaces=interfaces,
        neighbors=_neighbors(genes, name, interfaces),
        routes=_routes(genes, name, interfaces),
        rules=tuple(rule for number, rule in enumerate(all_rules) if pick(f"rule{number}", 1, 0)),
        nftables=pick("nft", "", "table ip a {}", "table netdev a {}"),
        files=files,
        processes=_processes(genes, name, files),
        router=pick("router", None, *ROUTERS),
    )


def _virtual(genes: Genes, name: str, names: list[str]) -> dict[str, LinkKind]:
    def pick(key: str, *options: T) -> T:
        return genes.pick(f"{name}.{key}", options)

    socket_node = genes.pick(f"{name}.wg.socket", names)
    peer = WireGuardPeer("p", KEY, None, ("10.0.0.0/8",), pick("wg.keepalive", 0, 5))
    bond = Bond(pick("bond.rate", "fast", "slow"), min_links=pick("bond.links", 1, 2))
    return {
        "lo": Loopback(),
        "bond0": bond,
        "br0": Bridge(pick("br.ageing", 300.0, 10.0), pick("br.vlans", False, True)),
        "d0": Dummy(),
        "red": Vrf(pick("vrf.table", 10, 11)),
        "wg0": WireGuard(socket_node, KEY, 1000 + NODES.index(name), (peer,)),
        "vx0": Vxlan(
            genes.pick(f"{name}.vx.under", names), pick("vni", 5, 6), "10.0.0.1", "10.0.0.2"
        ),
    }


def _masters(genes: Genes, name: str, devices: dict[str, LinkKind]) -> dict[str, str]:
    masters: dict[str, str] = {}
    for key, device in devices.items():
        choice = genes.pick(f"{name}.{key}.master", ("bond0", "br0", None, None))
        if device.kind == "veth" and choice in devices:
            masters[key] = str(choice)
    return masters


def _interface(
    genes: Genes, node: str, name: str, device: LinkKind, master: str | None
) -> Interface:
    def pick(key: str, *options: T) -> T:
        return genes.pick(f"{node}.{name}.{key}", options)

    ethernet = device.kind not in {"wireguard", "vrf", "loopback"}
    plain = device.kind not in {"vlan", "loopback"}
    number = crc32(name.encode()) % 251
    addresses = tuple(f"10.{number}.0.{host}/24" for host in (1, 2, 3) if pick(f"a{host}", 1, 0))
    addresses += pick("a4", (), (f"10.{number}.128.1/31",))
    if pick("order", 0, 0, 0, 1):
        addresses = addresses[::-1]
    return Interface(
        name,
        device,
        mac=pick("mac", None, "02:00:00:00:00:01", "02:00:00:00:00:02") if ethernet else None,
        mtu=pick("mtu", None, 1400, 1500) if plain else pick("mtu", None, 1300),
        up=pick("up", True, True, True, False) if device.kind != "vrf" else True,
        master=master,
        addresses=() if master in {"bond0", "br0"} else addresses,
        netem=pick("netem", None, Netem(delay_ms=5.0), Netem(rate_mbps=10.0)),
        sysctls={"net/c": pick("c", "0", "1")} if pick("c?", 1, 0) else {},
        port=pick("port", None, BridgePort(7, (8, 9)), BridgePort(None, (8,), flood=False))
        if master == "br0"
        else None,
    )


def _neighbors(genes: Genes, node: str, interfaces: tuple[Interface, ...]) -> tuple[Neighbor, ...]:
    found = []
    for interface in interfaces:
        key = f"{node}.{interface.name}.neighbor"
        if genes.pick(key, (True, False)) and interface.addresses:
            mac = genes.pick(f"{key}.mac", ("02:00:00:00:01:01", "02:00:00:00:01:02"))
            found.append(Neighbor(interface.name, "10.9.9.9", mac))
    return tuple(found)


def _routes(genes: Genes, node: str, interfaces: tuple[Interface, ...]) -> tuple[Route, ...]:
    ways = [i for i in interfaces if any(a.endswith("/24") for a in i.addresses)]
    routes: dict[tuple[int, str, int], Route] = {}
    for number in range(6):
        key = f"{node}.route{number}"
        if not genes.pick(key, (True, True, False)):
            continue
        route = Route(
            genes.pick(f"{key}.destination", ("0.0.0.0/0", "172.16.0.0/16", "172.17.0.0/16")),
            table=genes.pick(f"{key}.table", (254, 10, 500)),
            metric=genes.pick(f"{key}.metric", (0, 5)),
        )
        kind = genes.pick(f"{key}.kind", ("via", "dev", "auto", "hops", "blackhole", "throw"))
        if kind == "blackhole":
            route = replace(route, type="blackhole")
        elif kind == "throw":
            route = replace(route, type="throw")
        elif not ways:
            continue
        else:
            route = _aim(genes, key, kind, route, ways)
        routes[(route.table, route.destination, route.metric)] = route
    return tuple(routes.values())


def _aim(genes: Genes, key: str, kind: str, route: Route, ways: list[Interface]) -> Route:
    def via(way: Interface) -> str:
        subnet = next(a for a in way.addresses if a.endswith("/24"))
        return subnet.rpartition(".")[0] + ".254"

    way = genes.pick(f"{key}.way", ways)
    other = genes.pick(f"{key}.other", ways)
    owner = genes.pick(f"{key}.owner", ways)
    source = owner.addresses[0].partition("/")[0] if genes.pick(f"{key}.source", (0, 1)) else None
    if kind == "hops" and other is not way:
        hops = (Nexthop(via(way), way.name), Nexthop(via(other), other.name))
        return replace(route, nexthops=hops)
    if kind == "dev" and route.destination != "0.0.0.0/0":
        return replace(route, dev=way.name, source=source)
    untold = kind == "auto" and "red" not in {way.name, way.master}
    return replace(route, via=via(way), dev=None if untold else way.name, source=source)


def _processes(genes: Genes, node: str, files: dict[str, str]) -> tuple[Process, ...]:
    def pick(key: str, *options: T) -> T:
        return genes.pick(f"{node}.{key}", options)

    return tuple(
        Process(
            name,
            pick(f"{name}.argv", ("bird", "-f"), ("bird", "-d")),
            tuple(key for key in files if pick(f"{name}.{key}", 1, 0)),
            pick(f"{name}.reload", "bird", "restart"),
            env={"A": pick(f"{name}.env", "1", "2")},
        )
        for name in ("p", "q")
        if pick(name, 1, 1, 0)
    )
