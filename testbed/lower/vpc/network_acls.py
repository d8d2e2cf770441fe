"""Network ACLs at subnets' boundaries: their rules in order, without memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from testbed.lower.vpc import families, interfaces
from testbed.lower.vpc.families import Family
from testbed.lower.vpc.router import VpcRouter
from testbed.lower.vpc.ruleset import comment
from testbed.topology.model import NetworkAcl, Topology, Traffic

ERRORS = {  # what a router itself has to say about a packet that it dropped
    4: "icmp type { destination-unreachable, time-exceeded, parameter-problem }",
    6: "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }",
}


@dataclass(frozen=True)
class _Boundary:
    """A subnet with a network ACL: the ports that it has here, its addresses elsewhere."""

    subnet: str
    acl: NetworkAcl
    ports: tuple[str, ...]
    elsewhere: dict[Family, tuple[str, ...]]


def _boundaries(topology: Topology, router: VpcRouter) -> list[_Boundary]:
    """The subnets with interfaces here whose network ACL does not let everything through."""
    acls = {acl.name: acl for acl in router.vpc.network_acls}
    found = []
    for subnet in router.vpc.subnets:
        acl = acls[subnet.network_acl]
        here = [interface for interface in router.interfaces if interface.subnet == subnet.name]
        if not here or all(acl.opens(family.everywhere) for family in families.of(router.vpc)):
            continue
        others = [
            interface
            for interface in topology.network_interfaces.values()
            if (interface.vpc, interface.subnet) == (router.vpc.name, subnet.name)
            and interface not in here
            and topology.attached(interface)
        ]
        elsewhere = {
            family: tuple(
                str(address) for other in others for address in families.addresses(family, other)
            )
            for family in families.of(router.vpc)
        }
        ports = tuple(interfaces.port(interface) for interface in here)
        found.append(_Boundary(subnet.name, acl, ports, elsewhere))
    return found


def add(topology: Topology, router: VpcRouter) -> None:
    """Add the network ACLs of the subnets with interfaces here.

    A packet between two interfaces of one subnet is not filtered (facts: V nacl).
    """
    boundaries = _boundaries(topology, router)
    if not boundaries:
        return
    ruleset, own = router.ruleset, families.of(router.vpc)
    for boundary in boundaries:
        acl, name = boundary.acl, boundary.subnet
        ruleset.chains[f"acl_in_{acl.name}"] = _entries(own, acl, "ingress")
        ruleset.chains[f"acl_out_{acl.name}"] = _entries(own, acl, "egress")
        ruleset.sets[f"subnet_{name}"] = ("type ifname", [f'"{port}"' for port in boundary.ports])
        for way, other, end in (("in", "iifname", "saddr"), ("out", "oifname", "daddr")):
            chain = _boundary_chain(way, name)
            rules = [f"{other} @subnet_{name} return"]
            for family, addresses in boundary.elsewhere.items():
                if addresses:
                    rules.append(f"{family.header} {end} {{ {', '.join(addresses)} }} return")
            ruleset.chains[chain] = [*rules, f"goto acl_{way}_{acl.name}"]
    for way in ("out", "in"):
        ruleset.maps[f"subnets_{way}"] = (
            "type ifname : verdict",
            [
                f'"{port}" : jump {_boundary_chain(way, boundary.subnet)}'
                for boundary in boundaries
                for port in boundary.ports
            ],
        )
    ruleset.filters += ["iifname vmap @subnets_out", "oifname vmap @subnets_in"]
    for family in own:
        ruleset.output.append(f"{ERRORS[family.version]} oifname vmap @subnets_in")


def _boundary_chain(way: str, subnet: str) -> str:
    return f"{'enter' if way == 'in' else 'leave'}_{subnet}"


def _entries(
    own: Sequence[Family], acl: NetworkAcl, way: Literal["ingress", "egress"]
) -> list[str]:
    """The rules of one direction in order, and the last one, `*`, that denies everything."""
    entries, end = (acl.ingress, "saddr") if way == "ingress" else (acl.egress, "daddr")
    name = f"network ACL {acl.name}, {way} rule"
    lines = []
    for entry in entries:
        family = next((family for family in own if family.version == entry.cidr.version), None)
        if family is None:  # nothing of that family ever comes
            continue
        if entry.cidr == family.everywhere:
            condition = family.only if len(own) > 1 else ""
        else:
            condition = f"{family.header} {end} {entry.cidr} "
        verdict = "return" if entry.action == "allow" else "counter drop"
        why = comment(f"{name} {entry.number}")
        lines.append(f"{condition}{_kind(family, entry.traffic)}{verdict}{why}")
    return [*lines, f"counter drop{comment(f'{name} *')}"]


def _kind(family: Family, traffic: Traffic) -> str:
    if traffic.protocol is None:
        return ""
    what = "ip protocol" if family == families.IPV4 else "meta l4proto"
    text = f"{what} {traffic.protocol} "
    if traffic.ports is not None:
        low, high = traffic.ports
        text += f"th dport {low}-{high} " if low != high else f"th dport {low} "
    if traffic.protocol == family.icmp:
        if traffic.icmp_type is not None:
            text += f"{family.icmp_header} type {traffic.icmp_type} "
        if traffic.icmp_code is not None:
            text += f"{family.icmp_header} code {traffic.icmp_code} "
    return text
