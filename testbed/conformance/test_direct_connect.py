"""Direct Connect: connections, virtual interfaces, their BGP, and the service link over them."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Raw

from testbed.conformance.bgp_ends import limit_reached
from testbed.conformance.expectation import expect
from testbed.conformance.probing import (
    captures,
    exists,
    expect_answer,
    expect_up,
    inject,
    neighbour,
)
from testbed.conformance.rack_subjects import OutpostSubject, TunnelSubject
from testbed.conformance.service_link_ways import anchor_place
from testbed.conformance.session_routes import Announced, announced
from testbed.conformance.sessions import steady
from testbed.conformance.site import SETTLE_S, Site
from testbed.conformance.subjects import VirtualInterfaceSubject
from testbed.lower import names
from testbed.lower.rack.inner import SERVICE_LINK_PORT as PORT
from testbed.lower.rack.inner import server_address
from testbed.plan.bird import symbol
from testbed.plan.model import Place

ARRIVES_S = 4.0
# What the ways between rack, LAN and virtual interface stand on.
BELOW = (
    *("lag.carrier", "lag.members", "vlan.tagged", "vlan.addresses", "vlan.peer-answers"),
    *("bgp.port", "bgp.asns", "bgp.established", "bgp.outpost-announces", "bgp.route-to-rack"),
    *("site.powered", "site.cables", "site.daemons", "site.link", "site.peer-answers"),
    *("site.established",),
    *("site.lan",),
)
EPHEMERAL = 40001


def _customer(vif: VirtualInterfaceSubject) -> Place:
    """The customer device's VLAN interface."""
    return vif.connection.device, f"{names.connection_trunk(vif.connection)}.{vif.vif.vlan}"


def _amazon(vif: VirtualInterfaceSubject) -> Place:
    """The router that the virtual interface ends in, and its interface."""
    kind, target = vif.vif.kind, vif.vif.target
    routers = {"private": f"region.vgw-{target}", "transit": f"region.tgw-{target}"}
    return routers.get(kind, names.EDGE), names.connection_port(vif.connection)


def _announced(
    site: Site, vif: VirtualInterfaceSubject, ok: Callable[[Announced], object]
) -> Announced:
    """What both ends announce, from Amazon's side."""
    return announced(site, _amazon(vif)[0], symbol(names.connection_port(vif.connection)), ok)


@pytest.mark.after("site.powered")
def test_link(site: Site, virtual_interface: VirtualInterfaceSubject) -> None:
    """The connection is up, and so is the virtual interface's VLAN.

    Expected: carrier at both ends of the connection, and the device's VLAN interface is up.
    Source: B4 (T1)
    Remedy: check the port, its optical module, the cross connect, and whether the VLAN is
    configured.
    """
    vif = virtual_interface
    device, interface = _customer(vif)
    ends = [(names.direct_connect(vif.connection), names.TRUNK)]
    if exists(site, device):
        ends = [(device, names.connection_trunk(vif.connection)), *ends]
    expect_up(site, ends)
    if exists(site, device):
        done = site.testbed[device].run(
            ["cat", f"/sys/class/net/{interface}/operstate"], check=False
        )
        seen = done.text.strip() or "there is no such interface"
        expect(seen == "up", f"{device} {interface}", expected="up", seen=seen)


@pytest.mark.after("direct-connect.link")
def test_peer_answers(site: Site, virtual_interface: VirtualInterfaceSubject) -> None:
    """The two ends of the virtual interface answer each other's pings.

    Expected: Amazon's address answers the customer device, and the device answers Amazon.
    Source: B6, B13, C1, C8 (T1)
    Remedy: compare the VLAN id and addresses with those of the virtual interface.
    """
    vif = virtual_interface
    own, far = vif.vif.amazon_address.ip, vif.vif.customer_address.ip
    for place, answerer, address in (
        (_amazon(vif), _customer(vif), far),
        (_customer(vif), _amazon(vif), own),
    ):
        if exists(site, place[0]):
            expect_answer(site, place, answerer, address)


@pytest.mark.after("direct-connect.link", "direct-connect.peer-answers")
def test_prefix_limit(site: Site, virtual_interface: VirtualInterfaceSubject) -> None:
    """Neither end takes the session down because the other end announces too many prefixes.

    Expected: neither end has the state "maximum number of prefixes reached" (RFC 4486).
    Source: C1, C7 (T1): at most 100 prefixes on a private or transit virtual interface
    Remedy: summarise the announced prefixes, or announce a default route.
    """
    vif = virtual_interface
    far, own = vif.vif.customer_address.ip, vif.vif.amazon_address.ip
    place, device = _amazon(vif), vif.connection.device
    problem = limit_reached(site, place, ((place[0], far, own), (device, own, far)))
    name = " ".join(place if problem and problem[0] == place[0] else _customer(vif))
    seen = problem[1] if problem else "no limit reached"
    expect(not problem, name, expected="no limit reached", seen=seen)


@pytest.mark.after(
    *("direct-connect.link", "direct-connect.peer-answers", "direct-connect.prefix-limit"),
)
@pytest.mark.follows("site.daemons")
def test_established(site: Site, virtual_interface: VirtualInterfaceSubject) -> None:
    """The BGP session of the virtual interface is Established, and stays so.

    Expected: state Established at Amazon's end and at the customer's, and no reset during the
    check.
    Source: B5, B6, C1, C2 (T1)
    Remedy: compare AS numbers and addresses of both ends, and prefixes with their allocated number.
    """
    vif = virtual_interface
    far, own = str(vif.vif.customer_address.ip), str(vif.vif.amazon_address.ip)
    node, name = _amazon(vif)[0], " ".join(_customer(vif))
    row = site.settled(
        lambda: site.row("bgp", node=node, neighbor=far), lambda row: row["ok"], SETTLE_S
    )
    seen = f"{row['state']} ({row['reason']})" if row.get("reason") else row["state"]
    expect(row["ok"], name, expected="Established", seen=seen)
    for row in site.rows("bgp", node=vif.connection.device, neighbor=own):
        expect(row["ok"], name, expected="Established", seen=row["state"])
    seen = steady(site, node, symbol(names.connection_port(vif.connection)), far)
    expect(seen == "stays Established", name, expected="no flap", seen=seen)


@pytest.mark.after("direct-connect.established")
@pytest.mark.follows("site.powered", "site.cables", "site.daemons")
def test_received(site: Site, virtual_interface: VirtualInterfaceSubject) -> None:
    """Amazon announces the prefixes that the virtual interface is for.

    Expected: the VPC's CIDR block, the transit gateway's allowed prefixes, or AWS's public ranges.
    Source: B3, C3 (T1)
    Remedy: check the gateway that the virtual interface is attached to, and what it allows.
    """
    vif = virtual_interface
    routes = _announced(site, vif, lambda now: set(vif.vif.prefixes) <= set(now.sent)).sent
    for prefix in vif.vif.prefixes:
        seen = ", ".join(map(str, routes)) or "no prefixes"
        expect(prefix in routes, f"{vif}: {prefix}", expected="received", seen=seen)


@pytest.mark.after("direct-connect.established")
@pytest.mark.follows(*BELOW)
def test_advertised(site: Site, virtual_interface: VirtualInterfaceSubject) -> None:
    """The customer announces what Amazon must reach, in no more prefixes than allocated.

    Expected: for the service link the infrastructure subnets, else the device's LAN segments, or
    prefixes that cover them; at most the allocated number (100), on a public one 1000.
    Source: B1, C3, C7 (T1)
    Remedy: announce the missing prefix; summarise, or announce a default route.
    """
    vif = virtual_interface
    needed = _needed(site, vif)

    def has_all(now: Announced) -> bool:
        return all(any(p.subnet_of(r) for r in now.received) for p, _ in needed)

    routes = _announced(site, vif, has_all).received
    seen = ", ".join(map(str, routes)) or "no prefixes"
    for prefix, what in needed:
        covered = any(prefix.subnet_of(route) for route in routes)
        expect(covered, f"{vif}: {prefix}", expected=f"{what} advertised", seen=seen)
    number, limit = len(routes), vif.vif.limit
    expect(number <= limit, vif, expected=f"at most {limit} prefixes", seen=f"{number} prefixes")


def _needed(site: Site, vif: VirtualInterfaceSubject) -> list[tuple[IPv4Network, str]]:
    if vif.vif.vrf == names.VRF_LOCAL_GATEWAY:
        return [
            (segment.cidr, f"LAN {segment.name}")
            for segment in site.topology.site.segments
            if segment.vrf == vif.vif.vrf
            and any(device == vif.connection.device for device, _ in segment.routers)
        ]
    return [
        (prefix, f"the infrastructure subnet of {rack.name}")
        for rack in site.topology.racks.values()
        for prefix in rack.service_link.announced
        if rack.service_link.vpc == (vif.vif.target or None)
        and vif.connection.device in rack.customer_devices
    ]


@pytest.mark.follows("site.powered", "site.cables", "site.daemons")
def test_endpoint_filters(site: Site, tunnel: TunnelSubject) -> None:
    """With private connectivity, the endpoint subnet's filters allow the service link.

    Expected: what a server of the rack sends, UDP 443 to 443 and TCP from an ephemeral port to 443,
    gets from the virtual private gateway to the anchor's network interface; the anchor's answers
    leave the VPC. The way to the VPC is the service link's (service-link.handshake).
    Source: C4, C5, C6 (T1); S2: security group with UDP 443 in and out
    Remedy: allow them in the network ACL of the anchors' subnet, in both directions: ACLs are
    stateless.
    """
    outpost = tunnel.outpost
    if not outpost.private_anchors:
        pytest.skip(f"{outpost.name} has public connectivity: its anchors are not in a VPC")
    anchor = anchor_place(site, tunnel)
    vpc = names.region_vpc(outpost.service_link.vpc or "")
    gateway = (names.virtual_private_gateway(outpost.service_link.vpc or ""), "vpc")
    server, far = str(server_address(outpost, tunnel.index)), tunnel.anchor_address
    mark = b"to the endpoint"
    ip, back = IP(src=server, dst=far), IP(src=far, dst=server)
    probes = {
        f"UDP {PORT} to {PORT}": (
            ip / UDP(sport=PORT, dport=PORT) / Raw(mark),
            back / UDP(sport=PORT, dport=PORT) / Raw(mark),
        ),
        f"TCP {EPHEMERAL} to {PORT}": (
            ip / TCP(sport=EPHEMERAL, dport=PORT, flags="PA", seq=1) / Raw(mark),
            back / TCP(sport=PORT, dport=EPHEMERAL, flags="PA", seq=1) / Raw(mark),
        ),
    }
    for what, (out, answer) in probes.items():
        for packet, near, place, where in (
            (out, gateway, anchor, f"into {vpc}"),
            (answer, anchor, gateway, f"answers out of {vpc}"),
        ):
            seen = _seen(site, packet, near, place, mark)
            name = f"{vpc}: {what}, {where}"
            expect(seen == "passes", name, expected="passes", seen=seen)


def _seen(site: Site, packet: object, near: Place, far: Place, mark: bytes) -> str:
    """Whether a packet that is sent out of one place gets to another, in words."""

    def number(place: Place) -> int:
        return sum(mark in bytes(found) for found in heard[place].packets)

    with captures(site, [near, far], "ip") as heard:
        problem = inject(site, near, packet, mac=neighbour(site, near))
        site.settled(lambda: number(far), lambda n: n or problem, ARRIVES_S)
    if number(far):
        return "passes"
    return problem or f"{number(near)} packets at {near[0]}, none at {far[0]}"


@pytest.mark.follows(*BELOW, "direct-connect.established", "direct-connect.received")
def test_all_paths(site: Site, outpost: OutpostSubject) -> None:
    """With private connectivity, each customer device of the Outpost can reach the anchors.

    Expected: a route to each anchor in the VRF of the service link of each device.
    Source: C3, C5 (T1); H1: redundant connections
    Remedy: connect the device by Direct Connect, or by a link in VRF sl to a device that is.
    """
    anchors = outpost.outpost.private_anchors
    devices = [lag.device for lag in outpost.lags if exists(site, lag.device)]
    if not anchors or not devices:
        pytest.skip(f"{outpost} has public connectivity, or real devices only")
    for device in dict.fromkeys(devices):
        for anchor in anchors:
            argv = ["ip", "-o", "route", "get", str(anchor.address), "vrf", names.VRF_SERVICE_LINK]
            done = site.testbed[device].run(argv, check=False)
            seen = done.text.partition(" src")[0].strip() or done.stderr.decode().strip()
            name = f"{device}: {anchor.name}, {anchor.address}"
            expect(done.returncode == 0, name, expected="a route", seen=seen)
