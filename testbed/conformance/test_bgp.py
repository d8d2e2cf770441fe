"""BGP on the virtual interfaces: ports, AS numbers, sessions, and what each side announces."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from testbed.conformance.announcements import foreign_to, segments_behind, wanted_of
from testbed.conformance.bgp_ends import bfd_state, limit_reached, signatures
from testbed.conformance.bgp_wire import BAD_PEER_AS, PORT, Heard, listen
from testbed.conformance.daemons import sessions_of
from testbed.conformance.device_routes import next_hops
from testbed.conformance.expectation import expect
from testbed.conformance.probing import exists, half_open
from testbed.conformance.rack_subjects import LagSubject, OutpostSubject, VifSubject, domains
from testbed.conformance.session_routes import Announced, lengths
from testbed.conformance.sessions import signed, steady
from testbed.conformance.site import SETTLE_S, Site
from testbed.conformance.subjects import NodeSubject
from testbed.conformance.suites import REGION_WAYS, SITE_WAYS
from testbed.conformance.vif_sessions import (
    RETRY_S,
    announced_on,
    asns_of,
    brought_by,
    concluded,
    device_end,
    protocol_of,
    said_by,
    session_row,
)
from testbed.topology.model import Segment

DEFAULT = IPv4Network("0.0.0.0/0")


@pytest.mark.after("vlan.peer-answers", "bgp.signed")
def test_port(site: Site, vif: VifSubject) -> None:
    """TCP 179 is open in both directions on the VIF.

    The check sends a SYN from an unused port, which never becomes a connection: a connection from a
    neighbour's address tells many daemons that the neighbour has restarted. A port that accepts
    only signed segments cannot be tested; then the session itself shows it.

    Expected: a SYN to port 179 of the other end is answered by a SYN, from either end.
    Source: A10 (T1): TCP 179 and ephemeral ports not blocked
    Remedy: allow TCP port 179 in both directions, and let BGP listen on the interface.
    """
    lag, own, peer = vif.on, vif.vif.local_address.ip, vif.vif.peer_address.ip
    ond, device = (lag.ond, vif.ond_interface), (lag.device, vif.device_interface)
    for place, far, ends, end in (
        (ond, device, (own, peer), device_end(vif)),
        (device, ond, (peer, own), " ".join(ond)),
    ):
        if exists(site, place[0]) and not signed(site, (place[0], far[0]), *ends, PORT):
            seen = half_open(site, place, *ends, PORT)
            wanted = f"TCP {PORT} of {ends[1]} open to {place[0]}"
            expect(seen == "open", end, expected=wanted, seen=seen)


@pytest.mark.after("vlan.peer-answers")
def test_signed(site: Site, vif: VifSubject) -> None:
    """Both ends of the session sign their segments with the same MD5 key (RFC 2385), or neither.

    If the session is not established, the segments on the wire show it: a signature is TCP's option
    19, and an end that expects none, or another one, drops them.

    Expected: the option with the same key in the segments of both ends, or in none.
    Source: A10, A11 (T1); R1: the order form has no field for a key
    Remedy: remove the password from the device's session with the OND, or agree on one key.
    """
    row = site.row("bgp", node=vif.on.ond, neighbor=str(vif.vif.peer_address.ip))
    ends = {
        str(vif.vif.peer_address.ip): device_end(vif),
        str(vif.vif.local_address.ip): f"{vif.on.ond} {vif.ond_interface}",
    }
    if row["ok"]:
        return
    place = (vif.on.ond, vif.ond_interface)
    mismatch = signatures(site, place, tuple(ends), RETRY_S)
    name = ends.get(mismatch.end, device_end(vif))
    expect(not mismatch.words, name, expected="both sign, or neither", seen=mismatch.words or "so")


@pytest.mark.after("vlan.peer-answers")
def test_prefix_limit(site: Site, vif: VifSubject) -> None:
    """Neither end takes the session down because the other end announces too many prefixes.

    Expected: neither end has the state "maximum number of prefixes reached" (RFC 4486).
    Source: A10, A11 (T1): a session that flaps
    Remedy: raise the limit (maximum-prefix) of the end that reports it, or announce fewer prefixes.
    """
    place = (vif.on.ond, vif.ond_interface)
    own, peer = vif.vif.local_address.ip, vif.vif.peer_address.ip
    ends = ((vif.on.device, own, peer), (vif.on.ond, peer, own))
    problem = limit_reached(site, place, ends)
    seen = f"{problem[1]}" if problem else "no limit reached"
    name = device_end(vif) if not problem or problem[0] == vif.on.device else " ".join(place)
    expect(not problem, name, expected="no limit reached", seen=seen)


@pytest.mark.after("vlan.peer-answers", "bgp.port", "bgp.signed", "bgp.prefix-limit")
def test_asns(site: Site, vif: VifSubject) -> None:
    """Both ends of the session send the ordered AS numbers, and accept each other's.

    If the session is not established, the OPEN messages on the wire show them.

    Expected: OPEN messages with the ordered AS numbers, and no NOTIFICATION "bad peer AS".
    Source: A6, A7, A12 (T1); R1
    Remedy: set the device's local AS, and the remote AS that it expects, to the ordered ones.
    """
    own, peer = vif.vif.local_address.ip, vif.vif.peer_address.ip
    ends = (
        (device_end(vif), peer, vif.vif.peer_bgp_asn, own),
        (f"{vif.on.ond} {vif.ond_interface}", own, vif.vif.local_bgp_asn, peer),
    )
    if said := asns_of(site, vif):
        heard = Heard()
    else:
        with site.testbed[vif.on.ond].capture(vif.ond_interface, f"tcp port {PORT}") as capture:
            # It may have come up before the capture began: then its daemon knows the numbers.
            said, heard = site.settled(
                lambda: (asns_of(site, vif), listen(capture.packets)),
                lambda seen: seen[0] or concluded(seen[1], own, peer),
                RETRY_S,
            )
    if said:
        for key, (name, _, asn, _) in zip(("Neighbor AS", "Local AS"), ends, strict=True):
            seen = said.get(key, "")
            expect(seen == str(asn), name, expected=f"AS {asn}", seen=seen and f"AS {seen}")
        return
    for name, address, asn, _ in ends:
        opens = heard.opens(address)
        if opens or address == peer:
            expect(
                opens and opens[-1].asn == asn,
                name,
                expected=f"OPEN with AS {asn}",
                seen=said_by(heard, address),
            )
    for name, address, _, other in ends:
        refused = [n for n in heard.notifications(address) if (n.code, n.subcode) == BAD_PEER_AS]
        told = heard.opens(other)
        wanted = f"AS {told[-1].asn} of {other} accepted" if told else "the peer's AS accepted"
        expect(not refused, name, expected=wanted, seen=said_by(heard, address))


@pytest.mark.after(
    *("vlan.peer-answers", "bgp.signed", "bgp.prefix-limit", "bgp.port", "bgp.asns"),
)
def test_established(site: Site, vif: VifSubject) -> None:
    """The BGP session of the VIF is Established.

    Expected: state Established at the OND, and at the customer device if that can be queried.
    Source: A10, A11 (T1); M1: VifBgpSessionState 6
    Remedy: read the reason in the logs of both daemons (testbed logs).
    """
    row = session_row(site, vif)
    reason = f" ({row['reason']})" if row.get("reason") else ""
    expect(row["ok"], device_end(vif), expected="Established", seen=f"{row['state']}{reason}")
    local = str(vif.vif.local_address.ip)
    for far in site.rows("bgp", node=vif.on.device, neighbor=local):
        expect(far["ok"], device_end(vif), expected="Established", seen=far["state"])


@pytest.mark.after("bgp.established")
def test_stable(site: Site, vif: VifSubject) -> None:
    """The BGP session of the VIF stays up.

    Expected: it is up, and does not go down again during the check.
    Source: A10 (T1): a session that flaps between Active and Connect
    Remedy: look for loss on the LAG, hold timers that expire, and the cause of resets.
    """
    peer = str(vif.vif.peer_address.ip)
    seen = steady(site, vif.on.ond, protocol_of(vif), peer)
    expect(seen == "stays Established", device_end(vif), expected="no flap", seen=seen)


@pytest.mark.after("bgp.established")
@pytest.mark.follows("site.powered", "site.cables", "site.daemons")
def test_outpost_announces(site: Site, vif: VifSubject) -> None:
    """The OND announces the right prefixes, with the AS path lengths of an Outpost.

    Expected: on the service link, its own /27 of the infrastructure subnet with path length 1 and
    the other /27 with 4; on the local gateway, exactly its subnets or CoIP pools.
    Source: A9, B1 (T1); R1, R2: /27s with lengths 1 and 4; R1 tip, L2: never the VPC's CIDR
    Remedy: check the OND's configuration, and which route tables target the local gateway.
    """
    wanted = wanted_of(site.topology, vif)
    routes = announced_on(site, vif, lambda now: lengths(now.sent) == wanted).sent
    name = f"{vif.on.ond} {vif.ond_interface}"
    for prefix in {**wanted, **routes}:
        seen, length = lengths(routes).get(prefix), wanted.get(prefix)
        expect(
            seen == length,
            f"{name}: {prefix}",
            expected=f"AS path length {length}" if length else "not announced",
            seen=f"AS path length {seen}" if seen else "not announced",
        )


@pytest.mark.after("bgp.established", part="service-link")
@pytest.mark.follows("bgp.outpost-announces")
def test_route_to_rack(site: Site, lag: LagSubject) -> None:
    """The customer device's VRF of the service link routes an OND's own prefix to that OND.

    Expected: the route to the OND's part of the infrastructure subnets (a first-generation rack's
    /27) leaves by its VIF, or shares it with the other ONDs' that own it as well.
    Source: B1, B2, D10 (T1): the VRF's route table uses the service link range that BGP brought
    Remedy: prefer AS path length 1 over 4; do not alter attributes; put the session into the VRF.
    """
    if not exists(site, lag.device):
        pytest.skip(f"{lag.device} is a real device: its route table cannot be read")
    vif, rack = lag.service_link, lag.outpost
    drained = lag.lag.device in rack.drained
    for entry in rack.service_link.prefixes:
        if lag.lag.device not in entry.owners:
            continue
        hops = next_hops(site, lag.device, vif.vrf, str(entry.prefix))
        seen = ", ".join(sorted(hops)) or "no route"
        ok = hops and (drained or vif.device_interface in hops)
        wanted = f"by way of {vif.device_interface}" if not drained else "any route"
        expect(ok, f"{lag.device}: {entry.prefix} in VRF {vif.vrf}", expected=wanted, seen=seen)


@pytest.mark.after("bgp.established", part="local-gateway")
@pytest.mark.follows("bgp.outpost-announces")
def test_multipath(site: Site, device: NodeSubject) -> None:
    """A device with several sessions to an Outpost uses the equal paths of all of them.

    Expected: its route to each prefix that the local gateway announces has that many next hops.
    Source: R1, H1: enable BGP multipath on the customer device
    Remedy: enable multipath (maximum-paths) for the ONDs' sessions on the device.
    """
    applies = False
    for domain in domains(site.topology):
        rack = domain.outpost
        vifs = [vif for vif in domain.vifs if vif.on.device == device.name]
        ways = [vif for vif in vifs if vif.on.lag.device not in rack.drained]
        for prefix in site.topology.announced(*domain.gateway) if len(ways) > 1 else ():
            applies = True
            hops = len(next_hops(site, device.name, domain.domain.vrf, str(prefix)))
            name, wanted = f"{device}: {prefix}", f"{len(ways)} next hops"
            expect(hops == len(ways), name, expected=wanted, seen=f"{hops} next hops")
    if not applies:
        pytest.skip(f"{device} has one session with each Outpost: there is nothing to balance")


@pytest.mark.after("bgp.established")
def test_bfd(site: Site, vif: VifSubject) -> None:
    """If the VIF has BFD, its BFD session is up at both ends.

    Expected: state Up at the OND, and at the customer device if that can be queried.
    Source: R1, H1: BFD on the VIFs; A10 (T1)
    Remedy: enable BFD for the session at both ends; allow UDP 3784.
    """
    if not vif.on.lag.bfd:
        pytest.skip("the file configures no BFD on it")
    own, peer = vif.vif.local_address.ip, vif.vif.peer_address.ip
    for node, far, name in (
        (vif.on.device, own, device_end(vif)),
        (vif.on.ond, peer, f"{vif.on.ond} {vif.ond_interface}"),
    ):
        if exists(site, node):
            state = site.settled(
                lambda n=node, f=far: bfd_state(site, n, f),  # type: ignore[misc]
                lambda state: state == "up",
                SETTLE_S,
            )
            expect(state == "up", name, expected=f"BFD with {far} up", seen=state)


@pytest.mark.after("bgp.established", part="local-gateway")
@pytest.mark.follows(*SITE_WAYS)
def test_way_to_site(site: Site, lag: LagSubject) -> None:
    """The customer device announces routes to the local network on the local gateway's VIF.

    Expected: routes that cover each LAN segment that the device reaches.
    Source: A9, A14 (T1); L2: the local gateway learns the local network by BGP
    Remedy: announce the LAN's prefixes, or a default route, to the OND; check the device's export
    filter, and whether the LAN is in the VRF of the local gateway.
    """
    found = {vif: segments_behind(site.topology, vif) for vif in lag.gateways}
    if not any(found.values()):
        pytest.skip("no LAN segment is behind the device")
    for vif, segments in found.items():
        _expect_covered(site, vif, segments)


def _expect_covered(site: Site, vif: VifSubject, segments: list[Segment]) -> None:
    """Routes that cover the segments arrive on the VIF."""
    """Routes that cover the segments arrive on the VIF."""

    def covered(now: Announced) -> bool:
        return all(any(s.cidr.subnet_of(prefix) for prefix in now.received) for s in segments)

    routes = announced_on(site, vif, covered).received
    for segment in segments:
        found = any(segment.cidr.subnet_of(prefix) for prefix in routes)
        seen = ", ".join(map(str, routes)) or "no prefixes"
        wanted = f"a prefix that covers LAN {segment.name}"
        expect(found, f"{device_end(vif)}: {segment.cidr}", expected=wanted, seen=seen)


@pytest.mark.after("bgp.established", part="local-gateway")
@pytest.mark.follows(*SITE_WAYS)
def test_accepted(site: Site, lag: LagSubject) -> None:
    """The OND accepts the customer device's announcements on the local gateway's VIF.

    It refuses a path with its own AS number as a loop (RFC 4271, 9.1.2). So two Outposts whose
    local gateways have the same number cannot reach each other.

    Expected: no AS number of the local gateway in any path, except for the Outpost's own prefixes.
    Source: A9 (T1); R1: the local gateway's AS number
    Remedy: order another AS number for one of the local gateways, or let the device replace it.
    """
    if not exists(site, lag.device):
        pytest.skip(f"{lag.device} is a real device: its announcements cannot be read")
    sessions = sessions_of(site, lag.device, routes=True)
    for vif in lag.gateways:
        assert vif.domain is not None
        own = {str(prefix) for prefix in site.topology.announced(lag.outpost, vif.domain)}
        asn = vif.vif.local_bgp_asn
        (session,) = (s for s in sessions if s.neighbor == str(vif.vif.local_address.ip))
        for prefix, path in session.routes:
            seen = f"AS path {' '.join(map(str, path))}"
            name = f"{lag.ond}: {prefix} from {lag.device}"
            refused = asn in path and prefix not in own
            expect(not refused, name, expected=f"no AS {asn} in its path", seen=seen)


@pytest.mark.after("bgp.established", part="service-link")
@pytest.mark.follows(*SITE_WAYS, *REGION_WAYS)
def test_way_to_region(site: Site, lag: LagSubject) -> None:
    """The customer device announces routes to the Region on the service link's VIF.

    Expected: routes that cover the addresses of all anchors: AWS's ranges or a default route.
    Source: A9, B3, D11 (T1): AWS public ranges or a default route in the VRF of the service link
    Remedy: leak the Region's ranges or a default route into the service link's VRF and announce it.
    """
    vif = lag.service_link
    anchors = site.topology.anchors(lag.outpost)

    def covered(now: Announced) -> bool:
        return all(any(a.address in prefix for prefix in now.received) for a in anchors)

    routes = announced_on(site, vif, covered).received
    for anchor in anchors:
        found = [prefix for prefix in routes if anchor.address in prefix]
        seen = ", ".join(map(str, routes)) or "no prefixes"
        wanted = f"a prefix that covers {anchor.name}, {anchor.address}"
        expect(found, device_end(vif), expected=wanted, seen=seen)


@pytest.mark.after("bgp.established")
def test_no_leak(site: Site, vif: VifSubject) -> None:
    """The customer device announces nothing on the VIF that belongs on the other one.

    Expected: no LAN, Outpost subnet or VPC on the service link; no infrastructure subnet and no
    address inside AWS on the local gateway.
    Source: A9 (T1); R1: VRF separation of service link and local gateway; S2: routing conflicts
    Remedy: filter what the device's VRF announces to the OND; look for a leak between its VRFs.
    """
    foreign = foreign_to(site.topology, vif)
    for prefix in announced_on(site, vif).received:
        owner = next((o for c, o in foreign.items() if prefix.subnet_of(c)), None)
        seen = f"announced: a part of {owner}" if owner else "its own"
        name = f"{device_end(vif)}: {prefix}{brought_by(site, vif, prefix) if owner else ''}"
        expect(owner is None, name, expected="only what belongs to its VRF", seen=seen)


@pytest.mark.after("bgp.established", "bgp.way-to-region", "bgp.way-to-site")
@pytest.mark.follows(*SITE_WAYS, *REGION_WAYS, "bgp.accepted")
def test_equal(site: Site, outpost: OutpostSubject) -> None:
    """The customer announces the same prefixes, with equal AS paths, to all ONDs.

    Expected: every OND receives each prefix with the same AS path length.
    Source: A9 (T1); R1, H1: equal prefixes with the same attributes to all Outpost devices
    Remedy: announce the missing prefix on the other device, too; remove what prepends there.
    """
    groups: dict[str, list[VifSubject]] = {}
    for vif in (vif for lag in outpost.lags for vif in lag.vifs):
        groups.setdefault(vif.title, []).append(vif)
    for vifs in groups.values():
        received = site.settled(
            lambda vifs=vifs: [announced_on(site, vif).received for vif in vifs],  # type: ignore[misc]
            lambda all_: all(lengths(one) == lengths(all_[0]) for one in all_),
            SETTLE_S,
        )
        for prefix in sorted({prefix for routes in received for prefix in routes}):
            best = min(len(routes[prefix]) for routes in received if prefix in routes)
            for vif, routes in zip(vifs, received, strict=True):
                path = routes.get(prefix)
                expect(
                    path is not None and len(path) == best,
                    f"{device_end(vif)}: {prefix}",
                    expected=f"announced with AS path length {best}, as elsewhere",
                    seen="not announced" if path is None else f"AS path length {len(path)}",
                )
