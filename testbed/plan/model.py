"""The plan: what has to exist in Linux for a topology to be emulated.

Plain, complete and deterministic data that knows nothing of AWS. The same
topology always lowers to the same plan, MAC addresses included. A plan
crosses the keeper's control socket as JSON (`testbed.plan.codec`), so this
module and everything it imports stay in the standard library.

Nodes are network namespaces. Interfaces, routes, rules and processes are
keyed inside their node by name or content; that is what `testbed.plan.diff`
compares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from testbed.plan.bgp import Router
from testbed.plan.checks import Check
from testbed.plan.container import Container
from testbed.plan.roles import Role

TABLE_MAIN = 254
SLOW = "2:2"  # the class of the packets that a classified Netem is for
RESOLV_CONF = "resolv.conf"  # a file of a node's that its programs find in /etc
Place = tuple[str, str]  # a node and one of its interfaces, by name
NODE_DIRECTORY = "/run/node"  # in the keeper's private /run: NODE_DIRECTORY/<node>/<file>


@dataclass(frozen=True, slots=True)
class Loopback:
    """The node's `lo`, which exists with the namespace; carries extra addresses."""

    kind: ClassVar[str] = "loopback"


@dataclass(frozen=True, slots=True)
class Veth:
    """One end of a cable; the other is interface `peer` of `peer_node`, a `Veth` too."""

    peer_node: str
    peer: str
    kind: ClassVar[str] = "veth"


@dataclass(frozen=True, slots=True)
class Bond:
    """An IEEE 802.3ad LAG. Members are the interfaces whose `master` it is."""

    lacp_rate: Literal["fast", "slow"] = "fast"
    miimon_ms: int = 50
    min_links: int = 1
    kind: ClassVar[str] = "bond"


@dataclass(frozen=True, slots=True)
class Vlan:
    """An IEEE 802.1Q sub-interface of `parent`."""

    parent: str
    vid: int
    kind: ClassVar[str] = "vlan"


@dataclass(frozen=True, slots=True)
class Vrf:
    """A VRF device; interfaces join it by `master`. Its routes are in `table`."""

    table: int
    kind: ClassVar[str] = "vrf"


@dataclass(frozen=True, slots=True)
class Bridge:
    """An Ethernet bridge without spanning tree; ports join it by `master`.

    It forgets a MAC address `ageing_s` after the last frame from it. With `vlan_filtering` a
    frame passes only between ports that are in its VLAN (`BridgePort`).
    """

    ageing_s: float = 300.0
    vlan_filtering: bool = False
    kind: ClassVar[str] = "bridge"


@dataclass(frozen=True, slots=True)
class Dummy:
    """An interface that drops what is sent to it; holds addresses."""

    kind: ClassVar[str] = "dummy"


@dataclass(frozen=True, slots=True)
class WireGuardPeer:
    """A WireGuard peer. `endpoint` is ``address:port`` or None for one that calls in."""

    name: str
    public_key: str
    endpoint: str | None
    allowed_ips: tuple[str, ...]
    keepalive_s: int = 0


@dataclass(frozen=True, slots=True)
class WireGuard:
    """A WireGuard interface whose UDP socket lives in node `socket_node`.

    Keys are in base64. The socket's node routes the encrypted packets.
    """

    socket_node: str
    private_key: str
    listen_port: int
    peers: tuple[WireGuardPeer, ...]
    kind: ClassVar[str] = "wireguard"


@dataclass(frozen=True, slots=True)
class Vxlan:
    """A point-to-point VXLAN without learning; `underlay_node` routes its outer packets.

    It carries the low 16 bits of a packet's mark (the Group Policy extension).
    """

    underlay_node: str
    vni: int
    local: str
    remote: str
    port: int = 4789
    kind: ClassVar[str] = "vxlan"


@dataclass(frozen=True, slots=True)
class HostInterface:
    """The far end of a cable is the host's: what is wired to its interface `interface`.

    Every frame passes as it is, both ways. The interface's address is the host
    interface's, its MTU at most that one's.
    """

    interface: str
    kind: ClassVar[str] = "host"


LinkKind = Loopback | Veth | Bond | Vlan | Vrf | Bridge | Dummy | WireGuard | Vxlan | HostInterface


@dataclass(frozen=True, slots=True)
class Netem:
    """Egress impairment: one-way delay, rate limit (0: none), random loss in percent.

    `limit` is the queue's length in packets (`testbed.plan.queueing`). Of
    `reorder_percent` the packets are sent at once, before those that are delayed.
    With `classified` it is only for packets whose priority (nftables: `meta
    priority`) is SLOW; others pass.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_percent: float = 0.0
    rate_mbps: float = 0.0
    limit: int = 1000
    classified: bool = False
    reorder_percent: float = 0.0
    duplicate_percent: float = 0.0


@dataclass(frozen=True, slots=True)
class BridgePort:
    """What a bridge does at one of its ports.

    Where the bridge filters VLANs the port is in those that it has as `tagged`, and in
    `untagged`, which frames without a tag belong to (IEEE 802.1Q: its PVID). With `flood`
    frames for MAC addresses that the bridge does not know leave by it, too.
    """

    untagged: int | None = None
    tagged: tuple[int, ...] = ()
    flood: bool = True


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface of a node.

    `addresses` have a prefix length ("10.0.0.1/31"); `master` is the bond,
    bridge or VRF that it belongs to; `sysctls` map a file under /proc/sys to
    its value and are written once the interface exists. `port` is how the bridge
    that it belongs to treats it, where that is not the bridge's default. `leased` are the
    addresses that a DHCP client in the node is going to put on it.
    """

    name: str
    device: LinkKind
    mac: str | None = None
    mtu: int | None = None
    up: bool = True
    master: str | None = None
    addresses: tuple[str, ...] = ()
    netem: Netem | None = None
    sysctls: dict[str, str] = field(default_factory=dict)
    port: BridgePort | None = None
    leased: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Nexthop:
    """One path of a multipath route."""

    via: str | None
    dev: str


@dataclass(frozen=True, slots=True)
class Route:
    """A static route, IPv4 or IPv6; unicast ones have either `dev` or `nexthops`."""

    destination: str
    type: Literal["unicast", "blackhole", "unreachable", "prohibit", "throw"] = "unicast"
    table: int = TABLE_MAIN
    via: str | None = None
    dev: str | None = None
    metric: int = 0
    source: str | None = None
    nexthops: tuple[Nexthop, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy routing rule; every condition that is not None must hold."""

    priority: int
    table: int
    iif: str | None = None
    source: str | None = None
    destination: str | None = None
    fwmark: int | None = None
    action: Literal["lookup", "blackhole", "unreachable"] = "lookup"
    family: Literal["ipv4", "ipv6"] = "ipv4"


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A permanent neighbour entry, of ARP or of IPv6 neighbour discovery."""

    dev: str
    address: str
    mac: str


ZEBRA = "zebra"
"""FRR's daemon that knows the interfaces, by its name among a node's processes."""


@dataclass(frozen=True, slots=True)
class Process:
    """A program that runs in the node for as long as the plan names it.

    `files` are the names of the node's files it reads: when one changes, the
    process is reloaded as `reload` says: ``bird``, ``unbound`` and ``program`` (one
    of ours) ask over its control socket, ``restart`` stops and starts it. `after`
    names sockets in the node's directory, made by its other processes, that it needs
    to find.

    With a `container` it has that of its own; `argv` may then be empty, which is what its
    image starts. `restart` says what its end means: ``required`` that something is wrong,
    which the next `up` puts right; a workload may end, and is started again ``always``,
    ``on-failure`` or ``never``.
    """

    name: str
    argv: tuple[str, ...]
    files: tuple[str, ...] = ()
    reload: Literal["bird", "unbound", "program", "restart"] = "restart"
    after: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    container: Container | None = None
    restart: Literal["required", "always", "on-failure", "never"] = "required"


@dataclass(frozen=True, slots=True)
class Abort:
    """TCP connections that are reset at the moment when the plan comes to have this.

    Those to or from `port` whose other end is in one of `networks`, or
    anywhere where there are none. Both ends see a TCP RST (RFC 9293 3.5.2).
    """

    name: str
    port: int
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A network namespace with everything in it.

    `role` and `group` say what it stands for and where, `hardware` the rack and server that it
    runs on, OUTPOST.rackN and OUTPOST.serverN, as far as they are known. `nftables` is one ruleset
    in nft's own language, `own_ruleset` whether a user has written it. `files` map a file name to
    its text; the node's processes find them in NODE_DIRECTORY/<name>/, beside the configuration of
    the `router` (`testbed.plan.files`).
    """

    name: str
    role: Role
    group: str
    title: str = ""
    sysctls: dict[str, str] = field(default_factory=dict)
    interfaces: tuple[Interface, ...] = ()
    neighbors: tuple[Neighbor, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    nftables: str = ""
    own_ruleset: bool = False
    files: dict[str, str] = field(default_factory=dict)
    processes: tuple[Process, ...] = ()
    aborts: tuple[Abort, ...] = ()
    router: Router | None = None
    hardware: tuple[str, ...] = ()

    def interface(self, name: str) -> Interface:
        """The interface `name`; KeyError when the node has none."""
        for interface in self.interfaces:
            if interface.name == name:
                return interface
        raise KeyError(f"{self.name}:{name}")

    @property
    def directory(self) -> str:
        """Where the node's files, sockets and logs are, inside the keeper's mount namespace."""
        return f"{NODE_DIRECTORY}/{self.name}"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong in a testbed on purpose: a change of its plan.

    `kind` and the names in `values` are those of `testbed.faults`; durations
    are in ms, rates in Mbit/s there. It comes into force `at_s` after the testbed is
    ready (0: at once, with the first packet), lasts `for_s` (None: until it is healed)
    and comes again `every_s`, from one beginning to the next.
    """

    kind: str
    target: str
    values: dict[str, str | int | float] = field(default_factory=dict)
    at_s: float = 0.0
    for_s: float | None = None
    every_s: float | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole testbed: nodes in a stable order, and what must hold once it is up.

    Where `time` is virtual, idle time is skipped and chance begins with `seed`.
    `faults` are those that the topology declares; `nodes` are without them
    (`testbed.faults.catalog.compose`). `names` are addresses that belong to no one node, by what
    users call them.
    """

    name: str
    nodes: tuple[Node, ...]
    checks: tuple[Check, ...] = ()
    time: Literal["real", "virtual"] = "real"
    seed: int = 1
    faults: tuple[Fault, ...] = ()
    names: dict[str, str] = field(default_factory=dict)

    def node(self, name: str) -> Node:
        """The node `name`; KeyError when there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)
