"""Kernel features, each tried by making one in the current network namespace.

`testbed.kernel.features` runs `try_all` in a forked child, which leaves the
host's namespaces before it tries anything.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.errors import HostError
from testbed.kernel import connections, isolation, nftables
from testbed.kernel.netlink import (
    F_CREATE,
    F_EXCL,
    Message,
    NetlinkSocket,
    attribute,
    nested,
    text,
    u8,
    u16,
    u32,
)
from testbed.plan.model import Abort

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_IFINFO = struct.Struct("=BxHiII")
_ROUTE_OR_RULE = struct.Struct("=BBBBBBBBI")
_NEWLINK, _NEWROUTE, _NEWRULE, _NEWQDISC = 16, 24, 32, 36
_UP = 1
# Interface indexes: high ones, because some kernels put tunnel devices into every namespace.
_LO, _VETH, _PEER, _OTHER = 1, 1001, 1002, 1010


class _Trial(NetlinkSocket):
    """The socket that a trial makes its object with; a refusal is an OSError with its reason."""

    def create(self, kind: int, body: bytes) -> None:
        self.request(Message(kind, F_CREATE | F_EXCL, body))

    def link(self, index: int, kind: str, data: bytes = b"", extra: bytes = b"") -> None:
        """Create the interface with the given index, down."""
        info = nested(18, text(1, kind), nested(2, data)) if data else nested(18, text(1, kind))
        name = text(3, f"trial{index}")
        self.create(_NEWLINK, _IFINFO.pack(0, 0, index, 0, 0) + name + extra + info)

    def up(self, index: int) -> None:
        """Set the interface up."""
        self.request(Message(_NEWLINK, 0, _IFINFO.pack(0, 0, index, _UP, _UP)))

    def qdisc(self, index: int, kind: str, options: bytes) -> None:
        """Give the interface the queueing discipline as its root."""
        header = struct.pack("=BxxxiIII", 0, index, 0x10000, 0xFFFFFFFF, 0)
        self.create(_NEWQDISC, header + text(1, kind) + attribute(2, options))


def _veth(trial: _Trial) -> None:
    peer = _IFINFO.pack(0, 0, _PEER, 0, 0) + text(3, f"trial{_PEER}")
    trial.link(_VETH, "veth", nested(1, peer))
    trial.up(_VETH)
    trial.up(_PEER)


def _bond(trial: _Trial) -> None:
    trial.link(_OTHER, "bond", u8(1, 4) + u32(3, 50) + u8(21, 1))  # 802.3ad, miimon, fast


def _vlan(trial: _Trial) -> None:
    trial.link(_OTHER + 1, "vlan", u16(1, 100), extra=u32(5, _VETH))


def _vrf(trial: _Trial) -> None:
    trial.link(_OTHER + 2, "vrf", u32(1, 1001))
    trial.up(_OTHER + 2)


def _bridge(trial: _Trial) -> None:
    trial.link(_OTHER + 3, "bridge")


def _dummy(trial: _Trial) -> None:
    trial.link(_OTHER + 4, "dummy")


def _wireguard(trial: _Trial) -> None:
    """Set one up, which opens its UDP socket; without its cipher the module does not load."""
    trial.link(_OTHER + 5, "wireguard")
    trial.up(_OTHER + 5)


def _vxlan(trial: _Trial) -> None:
    local, remote = (socket.inet_aton(address) for address in ("192.0.2.1", "192.0.2.2"))
    ends = attribute(4, local) + attribute(2, remote)
    port = attribute(15, struct.pack("!H", 4789))
    trial.link(_OTHER + 6, "vxlan", u32(1, 7) + ends + u8(7, 0) + port)


def _macvlan(trial: _Trial) -> None:
    trial.link(_OTHER + 7, "macvlan", u32(1, 8), extra=u32(5, _VETH))  # mode: passthru


def _netem(trial: _Trial) -> None:
    trial.qdisc(_VETH, "netem", struct.pack("=6I", 0, 1000, 0, 0, 0, 0))


def _prio(trial: _Trial) -> None:
    trial.qdisc(_LO, "prio", struct.pack("=i16B", 2, *[0] * 16))


def _tbf(trial: _Trial) -> None:
    rate = struct.pack("=BBHhHI", 0, 1, 0, 0, 0, 1_000_000)  # cells of Ethernet; bytes per second
    parameters = rate + bytes(12) + struct.pack("=III", 100_000, 1_000_000, 0)
    trial.qdisc(_PEER, "tbf", attribute(1, parameters))


def _rule(trial: _Trial) -> None:
    header = _ROUTE_OR_RULE.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 1, 0)  # action: lookup
    trial.create(_NEWRULE, header + u32(6, 1000) + u32(15, 1003))


def _multipath(trial: _Trial) -> None:
    hops = b"".join(struct.pack("=HBBi", 8, 0, 0, index) for index in (_VETH, _PEER))
    header = _ROUTE_OR_RULE.pack(socket.AF_INET, 32, 0, 0, 254, 4, 253, 1, 0)
    trial.create(
        _NEWROUTE, header + attribute(1, socket.inet_aton("192.0.2.9")) + attribute(9, hops)
    )


def _reset_connections(_: _Trial) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address, port = server.getsockname()
        with socket.create_connection((address, port), timeout=1) as client:
            try:
                connections.abort("trial", Abort("trial", port))
            except HostError as error:
                raise error.__cause__ or OSError(str(error)) from error
            client.setblocking(False)
            try:
                client.recv(1)
            except ConnectionError:  # it was reset, as it should be
                return
            raise OSError(errno.EOPNOTSUPP, "the connection lives on")


def _chain(kind: str, hook: str, rule: str) -> Callable[[_Trial], None]:
    """Return a trial that loads an nftables rule into a chain of its own."""

    def load(_: _Trial) -> None:
        chain = f"type {kind} hook {hook} priority 0"
        try:
            nftables.run(f"table inet {kind}_{hook} {{\nchain c {{\n{chain}\n{rule}\n}}\n}}\n")
        except (ValueError, HostError) as error:
            reason = str(error).split("\n")[0].split("Error: ")[-1]
            raise OSError(errno.EOPNOTSUPP, reason) from error

    return load


def _filter(rule: str, hook: str = "prerouting") -> Callable[[_Trial], None]:
    return _chain("filter", hook, rule)


def _nat(rule: str) -> Callable[[_Trial], None]:
    return _chain("nat", "postrouting", rule)


_MARK_BY_MAP = 'meta mark set iifname map { "a" : 1, "b" : 2 }'


@dataclass(frozen=True, slots=True)
class Probe:
    """How to try a feature, and what to tell about it."""

    name: str
    needed_for: str
    option: str
    module: str
    run: Callable[[_Trial], None]
    nftables: str = ""  # a regular expression: rulesets in which it is found need the feature


UNTRIED = "there is no namespace to try it in"
NAMESPACES = ("namespaces", "every node", "CONFIG_NET_NS, CONFIG_PID_NS", "built in")

# In this order: later ones use the veth pair; the firewalls' rules let no connection through.
PROBES = (
    Probe("veth", "cables", "CONFIG_VETH", "veth", _veth),
    Probe("bond", "LAGs with LACP (802.3ad)", "CONFIG_BONDING", "bonding", _bond),
    Probe("vlan", "service link and local gateway VLANs", "CONFIG_VLAN_8021Q", "8021q", _vlan),
    Probe("vrf", "VRFs of OND and customer device", "CONFIG_NET_VRF", "vrf", _vrf),
    Probe("bridge", "LAN segments", "CONFIG_BRIDGE", "bridge", _bridge),
    Probe("dummy", "addresses of routers", "CONFIG_DUMMY", "dummy", _dummy),
    Probe("wireguard", "service link tunnels", "CONFIG_WIREGUARD", "wireguard", _wireguard),
    Probe("vxlan", "VPC overlays in the service link", "CONFIG_VXLAN", "vxlan", _vxlan),
    Probe("macvlan", "host interfaces", "CONFIG_MACVLAN", "macvlan", _macvlan),
    Probe("netem", "delay, rate and loss of links", "CONFIG_NET_SCH_NETEM", "sch_netem", _netem),
    Probe("prio", "delay between Availability Zones", "CONFIG_NET_SCH_PRIO", "sch_prio", _prio),
    Probe("tbf", "rate limits", "CONFIG_NET_SCH_TBF", "sch_tbf", _tbf),
    Probe("policy-routing", "route tables", "CONFIG_IP_MULTIPLE_TABLES", "built in", _rule),
    Probe("multipath", "balancing", "CONFIG_IP_ROUTE_MULTIPATH", "built in", _multipath),
    Probe(
        "reset-connections",
        "faults that reset a BGP session",
        "CONFIG_INET_DIAG_DESTROY",
        "built in",
        _reset_connections,
    ),
    Probe(
        "nftables", "firewalls", "CONFIG_NF_TABLES_INET", "nf_tables", _filter(_MARK_BY_MAP), r"\S"
    ),
    Probe(
        "conntrack",
        "security groups",
        "CONFIG_NFT_CT",
        "nft_ct",
        _filter("ct state established accept"),
        r"\bct\b",
    ),
    Probe(
        "conntrack-mark",
        "security groups that remember connections",
        "CONFIG_NF_CONNTRACK_MARK",
        "nf_conntrack",
        _filter("ct mark and 1 == 0 ct mark set ct mark or 1"),
        r"\bct mark\b",
    ),
    Probe("nat", "NAT", "CONFIG_NFT_NAT", "nft_nat", _nat("snat ip to 192.0.2.1"), r"\b[sd]nat\b"),
    Probe(
        "masquerade",
        "NAT to an interface's address",
        "CONFIG_NFT_MASQ",
        "nft_masq",
        _nat("masquerade"),
        r"\bmasquerade\b",
    ),
    Probe(
        "fib",
        "source checks",
        "CONFIG_NFT_FIB_INET",
        "nft_fib_inet",
        _filter("fib saddr . iif oif missing drop"),
        r"\bfib\b",
    ),
    Probe(
        "reject",
        "refusals with an ICMP error",
        "CONFIG_NFT_REJECT_INET",
        "nft_reject_inet",
        _filter("reject", "input"),
        r"\breject\b",
    ),
)

# Tried nowhere: on this machine they are its own, and what is made of them would outlive a
# testbed. A micro VM's are told by its kernel's configuration.
OF_GUESTS = (
    Probe(
        "control-groups",
        "limits of processes' memory, number and processor time",
        "CONFIG_MEMCG, CONFIG_CGROUP_PIDS, CONFIG_CFS_BANDWIDTH, CONFIG_CGROUP_BPF",
        "built in",
        lambda _: None,
    ),
)


def try_all(withheld: Mapping[str, str]) -> dict[str, str]:
    """Try every feature but those withheld; the text of each one's error, empty if it worked.

    `withheld` has the reasons. The key "" holds the reason why nothing could be tried.
    """
    errors: dict[str, str] = {}
    errors["namespaces"] = _attempt(isolation.leave_host)
    if not errors["namespaces"]:
        errors["namespaces"] = _attempt(isolation.try_to_settle)
    else:  # for the kernel's other features this will do
        flags = isolation.CLONE_NEWUSER | isolation.CLONE_NEWNET
        if _attempt(lambda: isolation.unshare(flags)):
            return {**errors, "": UNTRIED}
    trial = _Trial()
    trial.up(_LO)
    for item in PROBES:
        if item.name in withheld:
            errors[item.name] = withheld[item.name]
            continue
        errors[item.name] = _attempt(lambda run=item.run: run(trial))  # type: ignore[misc]
    return errors


def _attempt(action: Callable[[], None]) -> str:
    try:
        action()
    except OSError as error:
        return error.strerror or str(error)
    return ""
