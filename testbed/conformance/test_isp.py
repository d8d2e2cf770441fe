"""The customer's links to the Region's edge, as from an internet provider (ISP).

Each is a device's or firewall's; over it the service link goes. What AWS's side
sees is looked at from the Region's edge.
"""

from __future__ import annotations

import pytest

from testbed.conformance.expectation import expect
from testbed.conformance.probing import exists, expect_answer, expect_up, route_to
from testbed.conformance.rack_subjects import OutpostSubject
from testbed.conformance.service_link_ways import edge_end
from testbed.conformance.session_routes import Announced, Routes, announced
from testbed.conformance.sessions import steady
from testbed.conformance.site import SETTLE_S, Site
from testbed.conformance.subjects import UplinkSubject
from testbed.lower import names
from testbed.lower.rack.inner import server_address
from testbed.plan.bird import symbol
from testbed.plan.model import Place

# What the ways between the rack and the provider stand on.
BELOW = (
    *("lag.carrier", "lag.members", "vlan.tagged", "vlan.addresses", "vlan.peer-answers"),
    *("bgp.port", "bgp.asns", "bgp.established", "bgp.outpost-announces", "bgp.route-to-rack"),
    *("site.powered", "site.cables", "site.daemons", "site.link", "site.peer-answers"),
    *("site.established",),
)


def _device_end(uplink: UplinkSubject) -> Place:
    return uplink.uplink.device, names.REGION_PORT


def _protocol(uplink: UplinkSubject) -> str:
    """The session's name in the BIRD of the Region's edge."""
    return symbol(f"customer-{uplink.uplink.device}")


def _is_translated(site: Site, uplink: UplinkSubject) -> bool:
    """Whether a firewall hides the inside, so that nothing has to be announced."""
    walls = site.topology.site.firewalls
    return any(w.name == uplink.uplink.device and (w.nat or w.ruleset) for w in walls)


@pytest.mark.after("site.powered")
def test_link(site: Site, uplink: UplinkSubject) -> None:
    """The link to the provider is up, at both ends.

    Expected: carrier at the customer's port and at the provider's.
    Source: D1 (T1)
    Remedy: check the interface's administrative state and its cable; call the provider.
    """
    expect_up(site, (_device_end(uplink), edge_end(uplink)))


@pytest.mark.after("isp.link")
def test_peer_answers(site: Site, uplink: UplinkSubject) -> None:
    """The two ends of the link to the provider answer each other's pings.

    Expected: an answer to a ping from the Region's edge, and to one from the customer's port.
    Source: D1, D8 (T1)
    Remedy: compare the addresses of the link with what the provider has assigned.
    """
    own, far = (address.ip for address in uplink.uplink.addresses)
    for place, answerer, address in (
        (edge_end(uplink), _device_end(uplink), own),
        (_device_end(uplink), edge_end(uplink), far),
    ):
        if exists(site, place[0]) and not (
            answerer[0] != names.EDGE and _filters(site, answerer[0])
        ):
            expect_answer(site, place, answerer, address)


def _filters(site: Site, node: str) -> bool:
    """Whether it is a firewall with rules of the customer's own, which may refuse pings."""
    return any(wall.name == node and wall.ruleset for wall in site.topology.site.firewalls)


@pytest.mark.after("isp.link", "isp.peer-answers")
@pytest.mark.follows("site.daemons")
def test_established(site: Site, uplink: UplinkSubject) -> None:
    """The BGP session with the provider is Established.

    Expected: state Established at the Region's edge and at the customer's end.
    Source: D3 (T1)
    Remedy: compare AS numbers and addresses of both ends; look for a filter for TCP 179.
    """
    own, far = (str(address.ip) for address in uplink.uplink.addresses)
    row = site.settled(
        lambda: site.row("bgp", node=names.EDGE, neighbor=own), lambda row: row["ok"], SETTLE_S
    )
    seen = f"{row['state']} ({row['reason']})" if row.get("reason") else row["state"]
    expect(row["ok"], " ".join(_device_end(uplink)), expected="Established", seen=seen)
    for row in site.rows("bgp", node=uplink.uplink.device, neighbor=far):
        expect(row["ok"], " ".join(_device_end(uplink)), expected="Established", seen=row["state"])


@pytest.mark.after("isp.established")
def test_stable(site: Site, uplink: UplinkSubject) -> None:
    """The BGP session with the provider stays up.

    Expected: it is up, and does not go down again during the check.
    Source: D4 (T1)
    Remedy: look for loss on the link and for the cause of resets; call the provider.
    """
    own = str(uplink.uplink.addresses[0].ip)
    seen = steady(site, names.EDGE, _protocol(uplink), own)
    expect(seen == "stays Established", str(uplink), expected="no flap", seen=seen)


@pytest.mark.after("isp.established")
@pytest.mark.follows(*BELOW)
def test_routes(site: Site, uplink: UplinkSubject) -> None:
    """The provider announces the needed routes, and receives those that it needs.

    Expected: the Region's public range or a default route arrives; the infrastructure subnets of
    the Outposts behind the link are announced, unless a firewall translates them.
    Source: D5, D6, D10 (T1); S4
    Remedy: ask the provider to announce the Region's ranges or a default route; announce the
    infrastructure subnets, which may be filtered only behind an address translation.
    """
    public = site.topology.region.public_cidr
    racks = uplink.outposts if not _is_translated(site, uplink) else ()
    needed = [(rack, prefix) for rack in racks for prefix in rack.service_link.announced]

    def has_all(now: Announced) -> bool:
        there = all(any(half.subnet_of(p) for p in now.received) for _, half in needed)
        return there and any(public.subnet_of(prefix) for prefix in now.sent)

    now = announced(site, edge_end(uplink)[0], _protocol(uplink), has_all)
    received, advertised = now.sent, now.received
    name = " ".join(_device_end(uplink))
    expect(
        any(public.subnet_of(prefix) for prefix in received),
        name,
        expected=f"{public} or a default route received",
        seen=_words(received),
    )
    for rack, prefix in needed:
        expect(
            any(prefix.subnet_of(entry) for entry in advertised),
            f"{name}: {prefix}",
            expected=f"the infrastructure subnet of {rack.name} advertised",
            seen=_words(advertised),
        )


def _words(prefixes: Routes) -> str:
    return ", ".join(map(str, prefixes)) or "no prefixes"


@pytest.mark.after("isp.link")
@pytest.mark.follows(*BELOW, "isp.established", "isp.routes")
def test_way_out(site: Site, uplink: UplinkSubject) -> None:
    """Traffic from an infrastructure subnet to AWS's ranges leaves by a link to the Region.

    Expected: for a packet from each Outpost's half of the infrastructure subnet, the VRF of the
    service link on the device has a route to the anchors, by an interface that leads there.
    Source: B3, D10, D11, D12 (T1): leak between the VRFs of service link and provider; source-based
    routing
    Remedy: leak the provider's routes, or a default route, into the service link's VRF; check
    policy rules that match the infrastructure subnet.
    """
    walls = {wall.name: wall for wall in site.topology.site.firewalls}
    wall = walls.get(uplink.uplink.device)
    devices = [link.device for link in wall.inside] if wall else [uplink.uplink.device]
    looked = False
    for outpost in uplink.outposts:
        for lag in OutpostSubject(outpost).lags:
            if lag.device not in devices or not exists(site, lag.device):
                continue
            looked = True
            tunnel = (lag.lag.device - 1) % len(site.topology.anchors(outpost))
            source = server_address(outpost, tunnel)
            arrives = f"{lag.device_bond}.{lag.lag.service_link.vlan}"
            for anchor in site.topology.anchors(outpost):
                seen = route_to(site, lag.device, anchor.address, source=source, iif=arrives)
                name = f"{lag.device}: {source} to {anchor.name}"
                ok = " dev " in seen and "unreachable" not in seen
                expect(ok, name, expected="a route to the Region", seen=seen)
    if not looked:
        pytest.skip("no Outpost with public connectivity is behind this link")
