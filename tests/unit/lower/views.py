"""Parts of a plan as short text, so that a test says in one line what it expects of them."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

from testbed.lower import lower
from testbed.plan.bgp import Instance, Session, Term
from testbed.plan.bird import symbol
from testbed.plan.checks import LinkCheck, LocalGatewayCheck, RouteCheck, TableRouteCheck
from testbed.plan.files import files_of
from testbed.plan.model import Bond, HostInterface, Plan, Route, Veth, Vlan, Vrf, Vxlan, WireGuard
from testbed.topology import load

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
SHIPPED = sorted(path.stem for path in TOPOLOGIES.glob("*.yaml"))
PINNED = ["first", "firewalls"]
"""The topologies whose plans are pinned to the byte."""
OTHERS = [name for name in SHIPPED if name not in PINNED]
_LINES = re.DOTALL | re.MULTILINE
_SET = re.compile(r"elements = \{ (.*?) \}\n")
_COMMENT = re.compile(r' comment ".*?"')


ONE_RACK = {
    "region-edge": 1,
    "region-fabric": 1,
    "service-link-anchor": 2,
    "outposts-endpoint": 1,
    "outpost-networking-device": 2,
    "local-gateway": 1,
    "service-link": 1,
    "outpost-server": 2,
    "customer-network-device": 2,
    "lan-segment": 1,
    "host": 1,
    "vpc-router": 2,
    "dns-resolver": 1,
}
"""The roles of a site with one Outpost, one LAN with one host, and one VPC."""
TWO_RACKS = ONE_RACK | {
    "outpost-networking-device": 4,
    "local-gateway": 2,
    "service-link": 2,
    "outpost-server": 4,
    "vpc-router": 3,
    "instance": 3,
}
ONE_RACK_CHECKS = {"bgp": 32, "lag": 4, "local-gateway": 1, "tunnel": 2, "management": 1}
TWO_RACKS_CHECKS = {"lag": 8, "local-gateway": 2, "tunnel": 4, "management": 2}


@cache
def shipped(name: str) -> Plan:
    """The plan of a shipped topology."""
    return lower(load(TOPOLOGIES / f"{name}.yaml"))


def roles(plan: Plan) -> dict[str, int]:
    """How many nodes there are of each role."""
    return dict(Counter(node.role for node in plan.nodes))


def named(plan: Plan, role: str) -> list[str]:
    """The names of the nodes of a role."""
    return [node.name for node in plan.nodes if node.role == role]


def described(plan: Plan, role: str) -> list[str]:
    """The nodes of a role as people see them: ``title in group``."""
    return [f"{node.title} in {node.group}" for node in plan.nodes if node.role == role]


def addresses(plan: Plan, node: str) -> dict[str, str]:
    """The addresses of each interface that has any."""
    return {i.name: " ".join(i.addresses) for i in plan.node(node).interfaces if i.addresses}


def mtus(plan: Plan, node: str) -> dict[str, int]:
    """The MTU of each interface that has one of its own."""
    return {i.name: i.mtu for i in plan.node(node).interfaces if i.mtu}


def wiring(plan: Plan, node: str) -> dict[str, str]:
    """What each interface is, and what it belongs to: ``node:interface in master``."""
    found = {}
    for interface in plan.node(node).interfaces:
        match interface.device:
            case Veth(peer_node, peer):
                text = f"{peer_node}:{peer}"
            case HostInterface(name):
                text = f"host {name}"
            case Vlan(parent, vid):
                text = f"{parent} VLAN {vid}"
            case Vrf(table):
                text = f"table {table}"
            case Bond(rate, miimon, links):
                text = f"LACP {rate}, {miimon} ms, {links} link"
            case Vxlan(underlay, vni, local, remote, port):
                text = f"VNI {vni} {local} > {remote}:{port} by {underlay}"
            case WireGuard(socket, _, port, peers):
                ends = [f"{p.name} {p.endpoint} {' '.join(p.allowed_ips)}" for p in peers]
                text = f"{port} by {socket}: {', '.join(ends)}"
            case device:
                text = device.kind
        found[interface.name] = f"{text} in {interface.master}" if interface.master else text
    return found


def delays(plan: Plan, node: str) -> dict[str, str]:
    """What each impaired interface does to what it sends."""
    return {
        i.name: f"{i.netem.delay_ms:g} ms, {i.netem.rate_mbps:g} Mbit/s, queue {i.netem.limit}"
        + ", between zones" * i.netem.classified
        for i in plan.node(node).interfaces
        if i.netem
    }


def routes_of(plan: Plan, node: str, table: int = 254) -> dict[str, str]:
    """Where each destination leads; what only comes after all others is marked ``last``."""
    return {
        route.destination + (" last" if route.metric else ""): _leads(route)
        for route in plan.node(node).routes
        if route.table == table
    }


def _leads(route: Route) -> str:
    if route.type != "unicast":
        return route.type
    hops = [f"{hop.via} {hop.dev}" for hop in route.nexthops] or [f"{route.via or ''} {route.dev}"]
    source = f" from {route.source}" if route.source else ""
    return (" + ".join(hops) + source).strip()


def rules_of(plan: Plan, node: str) -> list[str]:
    """The policy routing rules, in the order in which they are asked."""
    return [
        " ".join(
            [f"{rule.priority}:"]
            + [
                f"{word} {value}"
                for word, value in (
                    ("in", rule.iif),
                    ("from", rule.source),
                    ("to", rule.destination),
                    ("mark", rule.fwmark),
                )
                if value is not None
            ]
            + [str(rule.table) if rule.action == "lookup" else rule.action]
        )
        for rule in sorted(plan.node(node).rules, key=lambda rule: rule.priority)
    ]


def elements(plan: Plan, node: str, name: str) -> list[str]:
    """The elements of a set or map of the node's ruleset, sorted: their order means nothing."""
    body = _block(plan, node, rf"(?:set|map) {re.escape(name)}")
    found = _SET.search(body)
    return sorted(found[1].replace('"', "").split(", ")) if found else []


def sets(plan: Plan, node: str) -> dict[str, str]:
    """The sets and maps of the node's ruleset, and what they hold."""
    found = re.findall(r"^  (?:set|map) (\w+) \{\n(.*?)^  \}", plan.node(node).nftables, _LINES)
    return {
        name: " ".join(_SET.sub("", body).split()).removeprefix("type ") for name, body in found
    }


def chain(plan: Plan, node: str, name: str) -> list[str]:
    """The rules of a chain of the node's ruleset, without their comments."""
    body = _block(plan, node, f"chain {re.escape(name)}")
    return [_COMMENT.sub("", line.strip()) for line in body.splitlines() if line.strip()]


def _block(plan: Plan, node: str, head: str) -> str:
    found = re.search(rf"^  {head} \{{\n(.*?)^  \}}", plan.node(node).nftables, _LINES)
    assert found, f"{node} has no {head}"
    return found[1]


def sessions(plan: Plan, node: str) -> dict[str, str]:
    """BIRD's sessions by protocol: ``local AS > neighbour AS``, options, what is announced."""
    router = plan.node(node).router
    assert router
    return {
        symbol(session.name): _session(instance, session)
        for instance in router.instances
        for session in instance.sessions
    }


def frr_sessions(plan: Plan, node: str) -> dict[str, str]:
    """FRR's sessions by VRF and neighbour: ``own AS > its AS``, the route map for what goes out."""
    found = {}
    config = files_of(plan.node(node))["bgpd.conf"]
    for asn, vrf, body in re.findall(r"^router bgp (\d+) vrf (\w+)\n(.*?)^exit$", config, _LINES):
        for peer, remote in re.findall(r"neighbor (\S+) remote-as (\d+)", body):
            policy = re.search(rf"neighbor {peer} route-map (\S+) out", body)
            found[f"{vrf} {peer}"] = f"{asn} > {remote}: {policy[1] if policy else 'all'}"
        for prefix in re.findall(r"^  network (\S+)$", body, re.MULTILINE):
            found[f"{vrf} network"] = prefix
    return found


def frr_options(plan: Plan, node: str) -> list[set[str]]:
    """For each VRF, what FRR is told beyond that; neighbours are left out of it."""
    blocks = re.findall(r"^router bgp .*?^exit$", files_of(plan.node(node))["bgpd.conf"], _LINES)
    left_out = re.compile(r"^ *(neighbor \S+ (?!remote-as|description|route-map))?")
    return [
        {
            left_out.sub("", line)
            for line in block.splitlines()[1:-1]
            if not re.search(r"remote-as|description|route-map|  network", line)
        }
        for block in blocks
    ]


def records(plan: Plan, node: str, zone: str) -> list[str]:
    """The records of a zone that a resolver knows, without the zone's own, nor TTL and class."""
    lines = plan.node(node).files[f"zone-{zone}"].splitlines()[2:]
    return [re.sub(r" \d+ IN ", " ", line) for line in lines]


def _session(instance: Instance, session: Session) -> str:
    local, neighbor = f"{session.local} as {instance.asn}", f"{session.neighbor} as "
    options = {
        f"{local} > {neighbor}{session.remote_asn} on {session.interface}": True,
        "bfd": session.bfd,
        "reflected": session.reflect,
        f"limit {session.limit}": session.limit,
        "no hold time": not session.hold_s,
        **dict.fromkeys((_import(term) for term in session.imports or ()), True),
    }
    announced = "all"
    if session.exports is not None:
        terms = [f"{_networks(term)}{' +AS' * term.prepend}" for term in session.exports]
        announced = ", ".join(terms) or "nothing"
    return f"{', '.join(text for text, there in options.items() if text and there)}: {announced}"


def _networks(term: Term) -> str:
    return " ".join(f"{p.network}{'+' if p.longest == 32 else ''}" for p in term.prefixes)


def _import(term: Term) -> str:
    if term.communities:
        return "by community"
    if term.preference is not None:
        return f"bgp_local_pref = {term.preference}"
    sign = "!~" if term.action == "reject" else "~"
    return f"{sign} [ {_networks(term)} ]" if term.prefixes else ""


def titles(plan: Plan, kind: str) -> list[str]:
    """What the checks of one kind are about, in the words that a user sees."""
    return [
        check.title
        for check in plan.checks
        if check.kind == kind and not isinstance(check, LinkCheck)
    ]


def checks(plan: Plan) -> dict[str, int]:
    """How many checks there are of each kind."""
    return dict(Counter(check.kind for check in plan.checks))


def wanted_routes(plan: Plan) -> list[str]:
    """The kernel routes that must be there once the testbed is up: ``node table destination``."""
    return [
        f"{check.node} {check.table} {'to ' * (check.match == 'longest')}{check.destination}"
        for check in plan.checks
        if isinstance(check, RouteCheck)
    ]


def vpc_routes(plan: Plan) -> list[str]:
    """The custom routes of VPC route tables and their states: ``VPC/table destination target``."""
    return [
        f"{check.owner}/{check.route_table} {check.destination} {check.target}"
        f" by {check.node} {check.table} {check.state}"
        for check in plan.checks
        if isinstance(check, TableRouteCheck) and check.target != "local"
    ]


def gateway_routes(plan: Plan, outpost: str = "op") -> list[str]:
    """The local gateway's route table as it must be: ``destination target origin table state``."""
    return [
        f"{route.destination} {route.target} {route.origin} {route.table} {route.expected}"
        for check in plan.checks
        if isinstance(check, LocalGatewayCheck) and check.node == f"{outpost}.lgw"
        for route in check.routes
    ]


def gateway_ports(plan: Plan, outpost: str = "op") -> list[str]:
    """The ways into and out of the local gateway: ``role name node:interface``."""
    return [
        f"{port.role} {port.name} {port.node}:{port.interface}"
        for check in plan.checks
        if isinstance(check, LocalGatewayCheck) and check.node == f"{outpost}.lgw"
        for port in check.ports
    ]
