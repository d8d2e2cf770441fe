"""Steps carried out in a real kernel, proved by packets.

Addresses are those of RFC 5737, each test in namespaces of its own.
"""

from __future__ import annotations

import base64
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from socket import AF_INET6
from typing import Any

import pytest

from testbed.errors import HostError
from testbed.kernel import nftables, observe
from testbed.kernel.apply import Kernel
from testbed.kernel.namespace import current, inside
from testbed.plan.diff import diff
from testbed.plan.model import (
    Bond,
    Dummy,
    Interface,
    Loopback,
    Neighbor,
    Netem,
    Nexthop,
    Node,
    Plan,
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

pytestmark = [
    pytest.mark.packets,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]
EMPTY = Plan("p", ())


class World:
    """A kernel with what runs in it."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.plan = EMPTY

    def become(self, *nodes: Node) -> None:
        """Apply the difference; skip the test where the kernel has not got what it takes."""
        plan = Plan("p", nodes)
        try:
            self.kernel.apply(diff(self.plan, plan))
        except HostError as error:
            if error.hint and "no support" in error.hint:
                pytest.skip(f"{error.message}; {error.hint}")
            raise
        self.plan = plan

    def fd(self, node: str) -> int:
        return self.kernel.fd(node)

    def run(self, node: str, *argv: str) -> str:
        """The output of a program that runs in the node, whatever it returns."""
        with inside(self.fd(node)):
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout + done.stderr

    def ping(self, node: str, address: str, *options: str, count: int = 3) -> list[float]:
        """The round-trip times, in ms, of the answers."""
        argv = ("ping", "-n", "-c", str(count), "-i", "0.1", "-W", "2", *options, address)
        return [float(ms) for ms in re.findall(r"time=([\d.]+) ms", self.run(node, *argv))]

    def answers(self, node: str, address: str, *options: str) -> bool:
        """Whether there is an answer within some seconds."""
        return until(lambda: bool(self.ping(node, address, *options, count=1)))


def until(condition: Callable[[], bool], seconds: float = 15) -> bool:
    """Poll for a condition, up to a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.kernel.close()


def node(name: str, *interfaces: Interface, **more: Any) -> Node:
    return Node(name, Role.HOST, "test", interfaces=interfaces, **more)


def cable(name: str, peer: str, *addresses: str, **more: Any) -> Interface:
    return Interface(name, Veth(peer, name), addresses=addresses, **more)


def pair(**changes: Any) -> tuple[Node, Node]:
    return (
        node("a", replace(cable("e0", "b", "192.0.2.0/31"), **changes)),
        node("b", cable("e0", "a", "192.0.2.1/31")),
    )


def switch(name: str, peer: str, address: str, vrf: bool) -> Node:
    """A device with a LAG of two cables and a VLAN on it."""
    vlan = Interface("sl", Vlan("bond0", 5), addresses=(address,), master="red" if vrf else None)
    return node(
        name,
        Interface("bond0", Bond(), mac=f"02:00:00:00:0{ord(name) - 96}:00"),
        cable("e0", peer, master="bond0"),
        cable("e1", peer, master="bond0"),
        vlan,
        *((Interface("red", Vrf(10)),) if vrf else ()),
    )


# A  e0 ══╗ bond0      bond0 ╔══ e0  B
#    e1 ══╝ └ sl (5)  sl (5) ┘══ e1
#             └ VRF red


def test_a_vlan_in_a_vrf_over_a_lag_carries_packets(world: World) -> None:
    world.become(
        switch("a", "b", "192.0.2.0/31", vrf=True), switch("b", "a", "192.0.2.1/31", vrf=False)
    )
    for name in ("a", "b"):
        problems: dict[str, str | None] = {}

        def ready(name: str = name, problems: dict[str, str | None] = problems) -> bool:
            problems.update(observe.members(observe.links(world.fd(name)), "bond0"))
            return bool(problems) and not any(problems.values())

        assert until(ready), problems
        assert set(problems) == {"e0", "e1"}
    bond = observe.links(world.fd("a"))["bond0"].bond
    assert bond is not None
    assert (bond.partner_mac, bond.ports) == ("02:00:00:00:02:00", 2)
    assert world.answers("a", "192.0.2.1", "-I", "red")
    assert not world.ping("a", "192.0.2.1", count=1), "reachable from outside of its VRF"
    table = {route.destination: route for route in observe.routes(world.fd("a"), 10)}
    assert table["192.0.2.0/31"].hops[0].dev == "sl"


def test_a_silent_member_of_a_lag_is_named(world: World) -> None:
    a = switch("a", "b", "192.0.2.0/31", vrf=False)
    b = node("b", cable("e0", "a"), cable("e1", "a"))
    world.become(a, b)

    def problems() -> dict[str, str | None]:
        return observe.members(observe.links(world.fd("a")), "bond0")

    assert until(lambda: observe.links(world.fd("a"))["e0"].carrier)
    assert all(problems().values())
    world.become(a, node("b", cable("e0", "a"), replace(cable("e1", "a"), up=False)))
    assert until(lambda: problems()["e1"] == "MII status down"), problems()
    assert until(lambda: problems()["e0"] == "no LACPDU from the partner"), problems()


def test_netem_delays_and_can_be_taken_away(world: World) -> None:
    world.become(*pair(netem=Netem(delay_ms=30.0, rate_mbps=100.0, limit=500)))
    assert observe.qdiscs(world.fd("a"))["e0"] == (
        "netem",
        Netem(delay_ms=30.0, rate_mbps=100.0, limit=500),
    )
    assert world.answers("a", "192.0.2.1")
    assert min(world.ping("a", "192.0.2.1")) >= 30.0
    world.become(*pair(netem=Netem(loss_percent=100.0)))
    assert observe.qdiscs(world.fd("a"))["e0"][1] == Netem(loss_percent=100.0)
    assert world.ping("a", "192.0.2.1", "-W", "1") == []
    world.become(*pair())
    assert observe.qdiscs(world.fd("a"))["e0"] == ("noqueue", None)
    assert world.answers("a", "192.0.2.1")


def keys() -> tuple[str, str]:
    """A WireGuard private and public key."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    private = X25519PrivateKey.generate()
    both = (private.private_bytes_raw(), private.public_key().public_bytes_raw())
    return base64.b64encode(both[0]).decode(), base64.b64encode(both[1]).decode()


#  inner1 ─wg─┐                  ┌─wg─ inner2
#           outer1 ──────── outer2


def test_wireguard_and_vxlan_send_their_packets_from_another_namespace(world: World) -> None:
    (key1, public1), (key2, public2) = keys(), keys()
    peer1 = WireGuardPeer("one", public1, None, ("198.51.100.1/32",))
    peer2 = WireGuardPeer("two", public2, "192.0.2.1:443", ("198.51.100.2/32",), keepalive_s=5)
    world.become(
        node("outer1", cable("e0", "outer2", "192.0.2.0/31")),
        node("outer2", cable("e0", "outer1", "192.0.2.1/31")),
        node(
            "inner1",
            Interface(
                "wg", WireGuard("outer1", key1, 443, (peer2,)), addresses=("198.51.100.1/24",)
            ),
            Interface(
                "vx", Vxlan("outer1", 7, "192.0.2.0", "192.0.2.1"), addresses=("203.0.113.1/24",)
            ),
        ),
        node(
            "inner2",
            Interface(
                "wg", WireGuard("outer2", key2, 443, (peer1,)), addresses=("198.51.100.2/24",)
            ),
            Interface(
                "vx", Vxlan("outer2", 7, "192.0.2.1", "192.0.2.0"), addresses=("203.0.113.2/24",)
            ),
        ),
    )
    assert world.answers("inner1", "198.51.100.2")
    assert world.answers("inner1", "203.0.113.2")
    (peer,) = observe.wireguard_peers(world.fd("inner1"), "wg").values()
    assert (peer.public_key, peer.endpoint) == (public2, "192.0.2.1:443")
    assert peer.handshake > 0
    assert peer.rx_bytes > 0
    assert {("udp", 443), ("udp", 4789)} <= observe.listening(world.fd("outer1"))
    assert observe.listening(world.fd("inner1")) == set()


def attempt(world: World, where: str, source: str | None = None, mark: int = 0) -> str:
    """The source address that packets to 203.0.113.1 get, or the error's name."""
    with inside(world.fd(where)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        if mark:
            probe.setsockopt(socket.SOL_SOCKET, 36, mark)
        try:
            if source:
                probe.bind((source, 0))
            probe.connect(("203.0.113.1", 9))
        except OSError as error:
            return os.strerror(error.errno or 0)
        return str(probe.getsockname()[0])


def test_routes_and_rules_decide_as_written(world: World) -> None:
    target = "203.0.113.0/24"
    a, b = pair()
    routes = (
        Route(target, via="192.0.2.1", dev="e0", source="198.51.100.1"),
        Route(target, "blackhole", table=101),
        Route(target, "unreachable", table=102),
        Route(target, "prohibit", table=103),
        Route(target, "throw", table=104),
        Route(target, table=1000, via="192.0.2.1"),
    )
    rules = (
        *(Rule(table, table, fwmark=table) for table in (101, 102, 103, 104)),
        Rule(200, 1000, source="198.51.100.2/32"),
        Rule(201, 0, source="198.51.100.3/32", action="unreachable"),
    )
    lo = Interface("lo", Loopback(), addresses=tuple(f"198.51.100.{n}/32" for n in (1, 2, 3)))
    world.become(replace(a, interfaces=(lo, *a.interfaces), routes=routes, rules=rules), b)
    assert attempt(world, "a") == "198.51.100.1"
    assert attempt(world, "a", mark=101) == "Invalid argument"
    assert attempt(world, "a", mark=102) == "No route to host"
    assert attempt(world, "a", mark=103) == "Permission denied"
    assert attempt(world, "a", mark=104) == "198.51.100.1"
    assert attempt(world, "a", source="198.51.100.3") == "Network is unreachable"
    world.become(replace(a, interfaces=(lo, *a.interfaces), routes=routes[1:], rules=rules), b)
    assert attempt(world, "a") == "Network is unreachable"
    assert attempt(world, "a", source="198.51.100.2") == "198.51.100.2"
    world.become(replace(a, interfaces=(lo, *a.interfaces), routes=routes[:1]), b)
    assert attempt(world, "a", mark=101) == "198.51.100.1"
    assert observe.routes(world.fd("a"), 101) == []


def two_paths(*, first_up: bool = True) -> tuple[Node, Node]:
    hops = (Nexthop("192.0.2.1", "e0"), Nexthop("192.0.2.3", "e1"))
    return (
        node(
            "a",
            replace(cable("e0", "b", "192.0.2.0/31"), up=first_up),
            cable("e1", "b", "192.0.2.2/31"),
            routes=(Route("203.0.113.0/24", nexthops=hops),),
        ),
        node("b", cable("e0", "a", "192.0.2.1/31"), cable("e1", "a", "192.0.2.3/31")),
    )


def test_a_multipath_route_follows_its_links(world: World) -> None:
    def paths() -> list[str | None]:
        routes = observe.routes(world.fd("a"), 254)
        return [h.dev for r in routes if r.destination == "203.0.113.0/24" for h in r.hops]

    world.become(*two_paths())
    assert paths() == ["e0", "e1"]
    world.become(*two_paths(first_up=False))
    assert paths() == ["e1"]
    world.become(*two_paths())
    assert paths() == ["e0", "e1"]


RULESET = """
table ip filter {
  counter dropped { }
  chain input {
    type filter hook input priority filter; policy accept;
    icmp type echo-request counter name dropped drop
  }
}
"""


def test_a_ruleset_drops_counts_and_goes_again(world: World) -> None:
    a, b = pair()
    world.become(a, replace(b, nftables=RULESET))
    assert world.ping("a", "192.0.2.1", "-W", "1", count=2) == []
    with inside(world.fd("b")):
        assert "packets 2" in nftables.run("list counter ip filter dropped")
    world.become(a, b)
    assert world.answers("a", "192.0.2.1")


def test_a_wrong_ruleset_names_its_node_and_changes_nothing(world: World) -> None:
    a, b = pair()
    world.become(a, replace(b, nftables=RULESET))
    with pytest.raises(HostError, match=r"b: nftables: .*syntax error"):
        world.become(a, replace(b, nftables="table ip filter { chain"))
    with inside(world.fd("b")):
        assert "dropped" in nftables.run("list ruleset")


def state(kernel: Kernel, name: str) -> dict[str, Any]:
    """What is in a node, without what changes by itself."""
    fd = kernel.fd(name)
    links = [link for link in observe.links(fd).values() if link.index >= 16 or link.index == 1]
    return {
        "links": {i.name: (i.kind, i.mac, i.mtu, i.admin_up, i.master) for i in links},
        "addresses": observe.addresses(fd),
        "routes": sorted(str(asdict(route)) for route in observe.routes(fd)),
        "neighbors": sorted(str(n) for n in observe.neighbors(fd) if n["permanent"]),
        "queueing": {k: v for k, v in observe.qdiscs(fd).items() if v[1]},
    }


def router(**changes: Any) -> Node:
    """A node with a bit of everything; each keyword replaces an interface by name, or a member."""
    mac = "02:00:00:00:00:0"
    interfaces = {
        "e0": cable("e0", "b", "192.0.2.0/31", mac=f"{mac}1"),
        "e1": cable("e1", "b", "192.0.2.2/31", mac=f"{mac}2", netem=Netem(delay_ms=1)),
        "d0": Interface("d0", Dummy(), mac=f"{mac}3", addresses=("198.51.100.1/24",)),
        "v0": Interface("v0", Vlan("e0", 7), mtu=1400, addresses=("198.51.100.129/31",)),
        "red": Interface("red", Vrf(10), mac=f"{mac}4"),
    }
    routes = (
        Route("203.0.113.0/25", via="192.0.2.1"),
        Route("203.0.113.128/25", via="198.51.100.128", dev="v0"),
        Route("203.0.113.0/24", "blackhole", table=20),
    )
    neighbors = (Neighbor("e0", "192.0.2.1", f"{mac}9"),)
    interfaces |= {name: changes.pop(name) for name in list(changes) if name in interfaces}
    kept = tuple(interface for interface in interfaces.values() if interface is not None)
    return replace(node("a", *kept, routes=routes, neighbors=neighbors), **changes)


V6_SYSCTLS = {
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/default/addr_gen_mode": "1",
    "net/ipv6/conf/all/keep_addr_on_down": "1",
    "net/ipv6/conf/default/keep_addr_on_down": "1",
}


def router6(**changes: Any) -> Node:
    """A node with IPv6 beside IPv4; each keyword replaces a member."""
    mac = "02:00:00:00:00:0"
    addresses = changes.pop("addresses", ("2001:db8::1/64",))
    e0 = cable("e0", "b", "192.0.2.0/31", *addresses, mac=f"{mac}1", up=changes.pop("up", True))
    members: dict[str, Any] = {
        "sysctls": V6_SYSCTLS,
        "routes": (
            Route("::/0", via="fe80::2", dev="e0"),
            Route("2001:db8:1::/48", via="2001:db8::2"),
            Route("2001:db8:2::2/128", dev="e0", source="2001:db8::1"),
            Route("2001:db8:3::/48", "blackhole"),
            Route("2001:db8:4::/48", "throw", table=20),
        ),
        "rules": (
            Rule(100, 20, fwmark=1, family="ipv6"),
            Rule(110, 20, source="2001:db8::/64", destination="2001:db8:9::/48", family="ipv6"),
            Rule(100, 20, fwmark=1),
        ),
        "neighbors": (
            Neighbor("e0", "2001:db8::2", f"{mac}9"),
            Neighbor("e0", "fe80::2", f"{mac}9"),
        ),
    }
    return replace(node("a", e0), **(members | changes))


OLD = router()
E0, E1, V0 = OLD.interface("e0"), OLD.interface("e1"), OLD.interface("v0")
CHANGES = {
    "nothing": {},
    "mtu": {"e0": replace(E0, mtu=1450)},
    "mac": {"e0": replace(E0, mac="02:00:00:00:00:77")},
    "address": {"e1": replace(E1, addresses=("192.0.2.4/31", "192.0.2.6/31"))},
    "down": {"e0": replace(E0, up=False)},
    "netem": {"e1": replace(E1, netem=Netem(rate_mbps=5.0))},
    "into-vrf": {"e1": replace(E1, master="red")},
    "vlan-id": {"v0": replace(V0, device=Vlan("e0", 8))},
    "vlan-moves": {"v0": replace(V0, device=Vlan("e1", 7))},
    "vrf-table": {"red": Interface("red", Vrf(11), mac="02:00:00:00:00:04")},
    "no-dummy": {"d0": None},
    "routes": {"routes": (Route("203.0.113.0/25", via="192.0.2.3"),), "neighbors": ()},
    "sysctl": {"sysctls": {"net/ipv4/ip_forward": "1"}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_live_change_ends_where_a_fresh_start_does(world: World, change: str) -> None:
    b = node(
        "b",
        cable("e0", "a", "192.0.2.1/31"),
        cable("e1", "a", "192.0.2.3/31"),
    )
    new = router(**CHANGES[change])  # type: ignore[arg-type]
    fresh = World()
    try:
        fresh.become(new, b)
        world.become(OLD, b)
        before = state(world.kernel, "a")
        world.become(new, b)
        assert state(world.kernel, "a") == state(fresh.kernel, "a")
        world.become(OLD, b)
        assert state(world.kernel, "a") == before
    finally:
        fresh.kernel.close()


CHANGES6 = {
    "nothing": {},
    "address": {"addresses": ("2001:db8::7/64",), "routes": (), "neighbors": ()},
    "another": {"addresses": ("2001:db8::1/64", "2001:db8::99/128")},
    "down": {"up": False},
    "routes": {"routes": (Route("::/0", via="2001:db8::2", dev="e0"),)},
    "rules": {"rules": (Rule(100, 21, fwmark=1, family="ipv6"),)},
    "neighbors": {"neighbors": ()},
}


@pytest.mark.parametrize("change", CHANGES6)
def test_a_live_change_of_ipv6_ends_where_a_fresh_start_does(world: World, change: str) -> None:
    b = node("b", cable("e0", "a", "192.0.2.1/31"))
    old, new = router6(), router6(**CHANGES6[change])  # type: ignore[arg-type]
    fresh = World()
    try:
        fresh.become(new, b)
        world.become(old, b)
        before = state6(world.kernel, "a")
        world.become(new, b)
        assert state6(world.kernel, "a") == state6(fresh.kernel, "a")
        world.become(old, b)
        assert state6(world.kernel, "a") == before
    finally:
        fresh.kernel.close()


def state6(kernel: Kernel, name: str) -> dict[str, Any]:
    """What is in a node that is of IPv6."""
    fd = kernel.fd(name)
    addresses = observe.addresses(fd, AF_INET6)
    return {
        "links": state(kernel, name)["links"],
        "addresses": {name: sorted(texts) for name, texts in addresses.items()},
        "routes": sorted(
            str(asdict(route))
            for route in observe.routes(fd, family=AF_INET6)
            if route.protocol == "static"
        ),
        "neighbors": sorted(str(n) for n in observe.neighbors(fd, AF_INET6) if n["permanent"]),
        "rules": rules6(fd),
    }


def rules6(fd: int) -> str:
    """The IPv6 policy rules, as iproute2 prints them."""
    with inside(fd):
        return subprocess.run(
            ["ip", "-6", "rule"], check=True, capture_output=True, text=True
        ).stdout


def test_ipv6_objects_are_what_iproute2_shows(world: World) -> None:
    world.become(router6(), node("b", cable("e0", "a", "192.0.2.1/31")))
    with inside(world.fd("a")):
        shown = {
            what: subprocess.run(
                ["ip", "-6", *what.split()], check=True, capture_output=True, text=True
            ).stdout
            for what in ("addr show dev e0", "route show", "route show table 20", "neigh show")
        }
    assert "tentative" not in shown["addr show dev e0"]
    assert "2001:db8::1/64" in shown["addr show dev e0"]
    assert "default via fe80::2 dev e0" in shown["route show"]
    assert "2001:db8:1::/48 via 2001:db8::2 dev e0" in shown["route show"]
    assert "2001:db8:2::2 dev e0" in shown["route show"]
    assert "blackhole 2001:db8:3::/48" in shown["route show"]
    assert "throw 2001:db8:4::/48" in shown["route show table 20"]
    assert "2001:db8::2 dev e0 lladdr 02:00:00:00:00:09 PERMANENT" in shown["neigh show"]
    assert "fwmark 0x1 lookup 20" in rules6(world.fd("a"))


def test_a_cable_that_is_plugged_elsewhere_works_there(world: World) -> None:
    world.become(*pair(), node("c"))
    a = node("a", Interface("e0", Veth("c", "e0"), addresses=("192.0.2.0/31",)))
    world.become(a, node("b"), node("c", cable("e0", "a", "192.0.2.1/31")))
    assert world.answers("a", "192.0.2.1")
    assert "e0" not in observe.links(world.fd("b"))


def test_a_node_that_goes_takes_its_cables_along_at_once(world: World) -> None:
    a, _ = pair()
    world.become(*pair())
    world.become(replace(a, interfaces=()))
    assert "e0" not in observe.links(world.fd("a"))
    assert world.kernel.nodes() == ["a"]
    world.become(*pair())
    assert world.answers("a", "192.0.2.1")


def test_a_route_that_cannot_be_names_node_route_and_remedy(world: World) -> None:
    a, b = pair()
    with pytest.raises(HostError) as caught:
        world.become(replace(a, routes=(Route("203.0.113.0/24", via="198.51.100.9", dev="e0"),)), b)
    assert caught.value.message.startswith("a: route 203.0.113.0/24 in table 254: ")
    assert caught.value.hint is not None
    assert "198.51.100.9" in caught.value.hint


def test_defaults_are_for_interfaces_that_are_there_already_too(world: World) -> None:
    """As for those that are made later: IPv6 that comes to a node makes up no addresses."""
    off = {key: "1" for key in V6_SYSCTLS if key.endswith("/disable_ipv6")}
    ends = cable("e0", "b", "192.0.2.0/31"), cable("e0", "a", "192.0.2.1/31")
    world.become(node("a", ends[0], sysctls=off), node("b", ends[1], sysctls=off))
    world.become(node("a", ends[0], sysctls=V6_SYSCTLS), node("b", ends[1], sysctls=off))
    assert "fe80" not in world.run("a", "ip", "-6", "address", "show", "dev", "e0")
    with inside(world.fd("a")):
        assert Path("/proc/sys/net/ipv6/conf/e0/disable_ipv6").read_text() == "0\n"
        assert Path("/proc/sys/net/ipv6/conf/e0/keep_addr_on_down").read_text() == "1\n"


def test_a_sysctl_is_written_in_its_namespace_only(world: World) -> None:
    before = ip_forward()
    world.become(node("a", sysctls={"net/ipv4/ip_forward": "1"}), node("b"))
    with inside(world.fd("a")):
        assert ip_forward() == "1"
    with inside(world.fd("b")):
        assert ip_forward() == "0"
    assert ip_forward() == before


def ip_forward() -> str:
    return Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()


@pytest.mark.parametrize("key", ["../../etc/passwd", "net/../../x", "/etc/passwd"])
def test_a_sysctl_outside_of_proc_sys_is_refused(world: World, key: str) -> None:
    with pytest.raises(HostError, match="not a name under /proc/sys"):
        world.become(node("a", sysctls={key: "1"}))


def test_the_own_namespace_is_left_as_it_was(world: World) -> None:
    def here() -> dict[str, Any]:
        fd = current()
        try:
            links = {(i.name, i.index, i.admin_up, i.mtu) for i in observe.links(fd).values()}
            routes = sorted(str(route) for route in observe.routes(fd))
            addresses = observe.addresses(fd)
        finally:
            os.close(fd)
        rules = subprocess.run(["ip", "rule"], capture_output=True, check=True).stdout
        return {"links": links, "routes": routes, "addresses": addresses, "rules": rules}

    before, namespace = here(), Path("/proc/thread-self/ns/net").stat().st_ino
    a, b = pair()
    world.become(a, replace(b, nftables=RULESET, sysctls={"net/ipv4/ip_forward": "1"}))
    assert here() == before
    world.become()
    assert here() == before
    assert Path("/proc/thread-self/ns/net").stat().st_ino == namespace
