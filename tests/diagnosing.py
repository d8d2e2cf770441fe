"""Every fault that can be put into a site, and what its diagnosis has to name.

Worked out from what a site consists of, whatever it is: no site and no name has rules of its
own. `objects` are the nodes, of which the diagnosis has to name one; `checks` say what kind of
fault it is. A fault that loses nothing that AWS or the file asks for is not among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from testbed.chaos.verdict import names_one
from testbed.conformance import rack_subjects, site_subjects, subjects
from testbed.conformance.rack_subjects import VifSubject
from testbed.conformance.results import Result
from testbed.errors import UsageError
from testbed.faults.catalog import compose, make
from testbed.lower import names
from testbed.plan.model import Plan, Veth
from testbed.topology.model import Topology

VID, MTU, DELAY_MS = 3999, 1400, 200.0
FLAP = {"for_": 1.0, "every": 4.0}
SHOWS_S, HELD_S = 6.0, 100.0  # for a timer that the fault has begun, and for the hold timer
SERVICE_LINK = ("service-link.handshake", "service-link.management")
SWITCHED_OFF = "site.powered"
LINK = {
    "site": ("site.link", "site.peer-answers", "site.mtu", "site.established", "site.announced"),
    "isp": (
        "isp.link",
        "isp.peer-answers",
        "service-link.underlay-mtu",
        "isp.established",
        "isp.routes",
    ),
}


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, the checks of which one has to be the diagnosis, and the objects it must name."""

    kind: str
    target: str
    checks: tuple[str, ...]
    objects: frozenset[str]
    values: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        values = "".join(f" --{name} {value}" for name, value in self.values.items())
        return f"{self.kind} {self.target}{values}"

    @property
    def times(self) -> dict[str, float]:
        """How long and how often it is there."""
        return FLAP if self.kind == "bgp-reset" else {}

    @property
    def shows_s(self) -> float:
        """After how long it can be seen; a session that is cut silently is up until it is held."""
        return HELD_S if self.kind == "bgp-blocked" else SHOWS_S

    def miss(self, diagnosis: Result | None) -> str:
        """What is wrong with a diagnosis; "" if it names kind and object."""
        if diagnosis is None:
            return "nothing fails"
        said = f"{diagnosis.check} {diagnosis.subject}: {diagnosis.seen}"
        if diagnosis.check not in self.checks:
            return f"kind: {said}"
        return "" if names_one(diagnosis, self.objects) else f"object: {said}"


def cases(topology: Topology, plan: Plan) -> list[Case]:
    """All faults that this site can have, but those that lose nothing."""
    found: list[Case] = []
    for part in (_lags, _vifs, _links, _uplinks, _connections, _lans, _machines, _outposts, _walls):
        found += part(topology, plan)
    unique = {str(case): case for case in found}
    return [case for case in unique.values() if _possible(plan, case)]


def _possible(plan: Plan, case: Case) -> bool:
    try:
        return compose(plan, [make(case.kind, case.target, case.values, name="x")]) != plan
    except UsageError:
        return False


def _case(kind: str, target: str, checks: object, *objects: str, **values: Any) -> Case:
    wanted = (checks,) if isinstance(checks, str) else tuple(checks)  # type: ignore[arg-type]
    return Case(kind, target, wanted, frozenset(objects), values)


def _lags(topology: Topology, plan: Plan) -> Iterator[Case]:
    lacp = ("lag.fast-rate", "lag.members")
    for lag in rack_subjects.lags(topology):
        ends = (lag.ond, lag.device)
        pairs = ((lag.device, lag.device_bond, 1), (lag.ond, lag.ond_bond, 0))
        for node, bond, side in pairs:
            for member in lag.members:
                place = f"{node}:{member[side]}"
                yield _case("link-down", place, "lag.carrier", *ends)
                yield _case("lag-member-missing", place, lacp, *ends)
                yield _case("fibre-one-way", place, lacp, *ends)
                yield _case("lacp-silent", place, lacp, *ends)
            yield _case("link-down", f"{node}:{bond}", "lag.carrier", *ends)
            yield _case("vlans-swapped", f"{node}:{bond}", "vlan.tagged", *ends)
            yield _case("mtu", f"{node}:{bond}", "vlan.mtu", *ends, mtu=MTU)
            yield _case("lacp-silent", f"{node}:{bond}", lacp, *ends)
            yield _case("fibre-one-way", f"{node}:{bond}", lacp, *ends)
        yield _case("lacp-slow", f"{lag.device}:{lag.device_bond}", "lag.fast-rate", *ends)
        slow = ("service-link.rtt",)
        if len(lag.outpost.lags) == 1:
            place = f"{lag.device}:{lag.device_bond}"
            yield _case("impair", place, slow, lag.outpost.name, delay=DELAY_MS)


def _vifs(topology: Topology, plan: Plan) -> Iterator[Case]:
    for vif in rack_subjects.vifs(topology):
        ends = (vif.on.ond, vif.on.device)
        places = (f"{ends[1]}:{vif.device_interface}", f"{ends[0]}:{vif.ond_interface}")
        for place in places:
            for kind in ("vlan-removed", "vlan-untagged", "link-down"):
                yield _case(kind, place, "vlan.tagged", *ends)
            yield _case("vlan-wrong", place, "vlan.tagged", *ends, vid=VID)
            yield _case("mtu", place, "vlan.mtu", *ends, mtu=MTU)
            yield _case("fibre-one-way", place, ("vlan.tagged", "vlan.peer-answers"), *ends)
            yield _case("bgp-blocked", place, "bgp.port", *ends)
            yield _case("bgp-wrong-asn", place, "bgp.asns", *ends)
            yield _case("bgp-wrong-asn", place, "bgp.asns", *ends, side="local")
            yield _case("bgp-md5", place, "bgp.signed", *ends)
            yield _case("bfd-missing", place, "bgp.bfd", *ends)
            flaps = ("bgp.stable", "bgp.established", "bgp.port", "bgp.asns", "site.sessions")
            yield _case("bgp-reset", place, flaps, *ends)
        device, ond = places
        yield from _announced(topology, vif, device, ond)


def _announced(topology: Topology, vif: VifSubject, device: str, ond: str) -> Iterator[Case]:
    ends = (vif.on.ond, vif.on.device)
    # FRR 8.4 counts before it lets a prefix in, so that one more than the limit stays.
    bird = any(d.name == ends[1] and d.daemon == "bird" for d in topology.site.devices)
    yield _case("route-withdrawn", ond, "bgp.outpost-announces", *ends)
    leak = ("bgp.outpost-announces",)
    yield _case("route-leaked", ond, leak, *ends, prefix="10.99.0.0/16")
    infrastructure = str(vif.on.outpost.service_link.infrastructure_cidrs[0])
    if vif.purpose == "service-link":
        yield _case("route-withdrawn", device, "bgp.way-to-region", *ends)
        announced = (
            c for g in topology.gateways if g[0] == vif.on.outpost for c in topology.announced(*g)
        )
        for prefix in map(str, announced):
            yield _case("route-leaked", device, "bgp.no-leak", *ends, prefix=prefix)
        if bird:
            yield _case("bgp-prefix-limit", device, "bgp.prefix-limit", *ends, limit=1)
        return
    yield _case("route-leaked", device, "bgp.no-leak", *ends, prefix=infrastructure)
    near = site_subjects.area(topology, vif.vrf, vif.on.device)
    if any(near & {name for name, _ in s.routers} for s in topology.site.segments):
        yield _case("route-withdrawn", device, ("bgp.way-to-site", "bgp.equal"), *ends)
    assert vif.domain is not None
    if bird and len(topology.announced(vif.on.outpost, vif.domain)) > 1:
        yield _case("bgp-prefix-limit", device, "bgp.prefix-limit", *ends, limit=1)


def _links(topology: Topology, plan: Plan) -> Iterator[Case]:
    sessions = ("site.established",)
    walls = {wall.name for wall in topology.site.firewalls}
    for link in site_subjects.links(topology):
        ends = tuple(end.node for end in link.ends)
        for end in link.ends:
            place = f"{end.node}:{end.interface}"
            yield _case("link-down", place, "site.link", *ends)
            yield _case("fibre-one-way", place, "site.peer-answers", *ends)
            yield _case("mtu", place, "site.mtu", *ends, mtu=MTU)
            for kind in ("bgp-blocked", "bgp-wrong-asn", "bgp-md5", "bgp-reset"):
                yield _case(kind, place, sessions, *ends)
            told = ("site.announced", "bgp.way-to-region", "isp.routes", "bgp.way-to-site")
            if not walls & set(ends) or end.node in walls:
                yield _case("route-withdrawn", place, told, *ends)


def _uplinks(topology: Topology, plan: Plan) -> Iterator[Case]:
    walls = {wall.name: wall for wall in topology.site.firewalls}
    for uplink in subjects.uplinks(topology):
        own = (uplink.uplink.device, "region")
        far = (names.EDGE, names.customer_port(uplink.uplink))
        ends = (own[0], names.EDGE)
        for place in (f"{own[0]}:{own[1]}", f"{far[0]}:{far[1]}"):
            yield _case("link-down", place, "isp.link", *ends)
            yield _case("fibre-one-way", place, "isp.peer-answers", *ends)
            yield _case("bgp-md5", place, "isp.established", *ends)
            yield _case("bgp-blocked", place, "isp.established", *ends)
            yield _case("bgp-wrong-asn", place, "isp.established", *ends)
            flaps = ("isp.stable", "isp.established")
            yield _case("bgp-reset", place, flaps, *ends)
        yield _case("route-withdrawn", f"{far[0]}:{far[1]}", "isp.routes", *ends)
        wall = walls.get(own[0])
        if uplink.outposts and not (wall and (wall.nat or wall.ruleset)):
            yield _case("route-withdrawn", f"{own[0]}:{own[1]}", "isp.routes", *ends)
    if len(subjects.uplinks(topology)) == 1 and not topology.site.direct_connects:
        (uplink,) = subjects.uplinks(topology)
        place, racks = f"{uplink.uplink.device}:region", [o.name for o in uplink.outposts]
        if racks:
            yield _case("mtu", place, "service-link.underlay-mtu", *racks, mtu=MTU, ends="both")
            yield _case("impair", place, "service-link.rtt", *racks, delay=DELAY_MS)


def _connections(topology: Topology, plan: Plan) -> Iterator[Case]:
    for vif in subjects.virtual_interfaces(topology):
        port = names.connection_trunk(vif.connection)
        device = vif.connection.device
        ends = (device, vif.connection.name, names.direct_connect(vif.connection))
        place = f"{device}:{port}.{vif.vif.vlan}"
        carrier = "direct-connect.link"
        yield _case("link-down", f"{device}:{port}", carrier, *ends)
        yield _case("link-down", place, carrier, *ends)
        yield _case("vlan-removed", place, carrier, *ends)
        answers = ("direct-connect.peer-answers",)
        yield _case("vlan-wrong", place, answers, *ends, vid=VID)
        yield _case("vlan-untagged", place, answers, *ends)
        yield _case("fibre-one-way", f"{device}:{port}", answers, *ends)
        for kind in ("bgp-blocked", "bgp-wrong-asn", "bgp-md5", "bgp-reset"):
            yield _case(kind, place, "direct-connect.established", *ends)


def _lans(topology: Topology, plan: Plan) -> Iterator[Case]:
    for segment in site_subjects.segments(topology):
        switch = names.segment(segment.segment)
        alone = [node for node, _, _ in segment.machines]
        for node, interface, _ in segment.machines:
            place = f"{node}:{interface}"
            only = len([i for i in plan.node(node).interfaces if isinstance(i.device, Veth)]) == 1
            checks = ("site.lan", SWITCHED_OFF) if only else ("site.lan",)
            yield _case("link-down", place, checks, node, switch)
            yield _case("address-duplicate", place, "site.unique-addresses", node)
            if len(alone) > 1 and any(
                h.segment == segment.segment.name for h in topology.site.hosts
            ):
                yield _case("fibre-one-way", place, "site.lan", *alone)


def _machines(topology: Topology, plan: Plan) -> Iterator[Case]:
    for machine in site_subjects.machines(topology):
        name = machine.name
        yield _case("node-stopped", name, SWITCHED_OFF, name)
        yield _case("route-missing", name, "site.default-route", name)
        node = plan.node(name)
        if node.group == "site":
            continue
        inner = [
            interface
            for interface in node.interfaces
            if isinstance(interface.device, Veth)
            and plan.node(interface.device.peer_node).group != "site"
        ]
        for interface in inner:
            assert isinstance(interface.device, Veth)
            far = interface.device.peer_node
            both = ("site.cables", SWITCHED_OFF)
            yield _case("link-down", f"{name}:{interface.name}", both, name, far)
        sessions = ("site.sessions", "bgp.port", "isp.established", "direct-connect.established")
        yield _case("bgp-blocked", name, sessions, name)


def _outposts(topology: Topology, plan: Plan) -> Iterator[Case]:
    for outpost in topology.outposts:
        yield _case("service-link-cut", outpost, SERVICE_LINK, outpost)
        for tunnel in (1, 2):
            yield _case("service-link-cut", outpost, SERVICE_LINK, outpost, tunnel=tunnel)
        yield _case("service-link-slow", outpost, "service-link.rtt", outpost, delay=DELAY_MS)
        down = ("service-link.region-reachable", "service-link.management")
        for action in ("drop", "reject"):
            yield _case("region-api-down", outpost, down, outpost, action=action)


def _walls(topology: Topology, plan: Plan) -> Iterator[Case]:
    for wall in topology.site.firewalls:
        if not subjects.behind(topology, wall.name):
            continue
        out = {"protocol": "udp", "port": 443}
        yield _case("firewall", wall.name, "firewalls.passes-udp", wall.name, **out)
        out = {"protocol": "tcp", "port": 443}
        yield _case("firewall", wall.name, "firewalls.passes-tcp", wall.name, **out)
        exhausted = ("firewalls.passes-udp", "firewalls.translates", "firewalls.passes-tcp")
        yield _case("nat-exhausted", wall.name, exhausted, wall.name)
    for device in subjects.devices(topology):
        silent = ("vlan.peer-answers", "site.peer-answers", "isp.peer-answers")
        yield _case("firewall", device.name, silent, device.name, protocol="icmp")
