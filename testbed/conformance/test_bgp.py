"""BGP on the virtual interfaces: ports, AS numbers, sessions, and what each side announces."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import IPv4Network

import pytest

from testbed.conformance.bgp_wire import BAD_PEER_AS, PORT, Heard, Notification, Open, listen
from testbed.conformance.expectation import expect
from testbed.conformance.probing import birdc, exists, half_open
from testbed.conformance.session_routes import Announced, Routes, announced
from testbed.conformance.sessions import signed, steady
from testbed.conformance.site import SETTLE_S, Site
from testbed.conformance.subjects import LagSubject, NodeSubject, OutpostSubject, VifSubject
from testbed.lower.names import TABLE_LOCAL_GATEWAY
from testbed.topology.model import INTERNAL

SHORT, LONG = 1, 4  # AS path lengths of an OND's own /27 and of the others' (R1, R2)
RETRY_S = 10.0  # an OND tries again after 2 s, 4 s after an error
DEFAULT = IPv4Network("0.0.0.0/0")


def _protocol(vif: VifSubject) -> str:
    """The session's name in the OND's BIRD."""
    return f"customer_{vif.purpose.replace('-', '_')}"


def _session(site: Site, vif: VifSubject) -> dict[str, object]:
    peer = str(vif.vif.peer_address.ip)
    return site.settled(
        lambda: site.row("bgp", node=vif.on.ond, neighbor=peer), lambda row: row["ok"], SETTLE_S
    )


def _announced(site: Site, vif: VifSubject, ok: Callable[[Announced], object] = bool) -> Announced:
    """What both ends announce, from the OND's side."""
    return announced(site, vif.on.ond, _protocol(vif), ok)


def _device_end(vif: VifSubject) -> str:
    return f"{vif.on.device} {vif.device_interface}"


@pytest.mark.after("vlan.peer-answers")
def test_port(site: Site, vif: VifSubject) -> None:
    """TCP 179 is open in both directions on the VIF.

    Asked with a SYN from a port that nothing uses, which never becomes a connection: to many
    daemons one from a neighbour's address means that it has restarted. A port that takes signed
    segments only can't be asked: there the session itself tells.

    Expected: a SYN to port 179 of the other end is answered by a SYN, from either end.
    Source: A10 (T1): TCP 179 and ephemeral ports not blocked
    Remedy: let TCP port 179 through, both ways, and have BGP listen on the interface.
    """
    lag, own, peer = vif.on, vif.vif.local_address.ip, vif.vif.peer_address.ip
    ond, device = (lag.ond, vif.ond_interface), (lag.device, vif.device_interface)
    for place, far, ends, end in (
        (ond, device, (own, peer), _device_end(vif)),
        (device, ond, (peer, own), " ".join(ond)),
    ):
        if exists(site, place[0]) and not signed(site, (place[0], far[0]), *ends, PORT):
            seen = half_open(site, place, *ends, PORT)
            wanted = f"TCP {PORT} of {ends[1]} open to {place[0]}"
            expect(seen == "open", end, expected=wanted, seen=seen)


@pytest.mark.after("vlan.peer-answers", "bgp.port")
def test_asns(site: Site, vif: VifSubject) -> None:
    """Both ends of the session say the AS numbers that were ordered, and accept each other's.

    Where the session is not established, the OPEN messages on the wire tell.

    Expected: OPEN messages with the ordered AS numbers, no NOTIFICATION "bad peer AS".
    Source: A6, A7, A12 (T1); R1
    Remedy: set the device's local AS, and the remote AS that it expects, to those of the order.
    """
    own, peer = vif.vif.local_address.ip, vif.vif.peer_address.ip
    ends = (
        (_device_end(vif), peer, vif.vif.peer_bgp_asn, own),
        (f"{vif.on.ond} {vif.ond_interface}", own, vif.vif.local_bgp_asn, peer),
    )
    if said := _of_the_session(site, vif):
        heard = Heard()
    else:
        with site.testbed[vif.on.ond].capture(vif.ond_interface, f"tcp port {PORT}") as capture:
            # It may have come up before the capture began: then its daemon knows the numbers.
            said, heard = site.settled(
                lambda: (_of_the_session(site, vif), listen(capture.packets)),
                lambda seen: seen[0] or _concluded(seen[1], own, peer),
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
                seen=_said(heard, address),
            )
    for name, address, _, other in ends:
        refused = [n for n in heard.notifications(address) if (n.code, n.subcode) == BAD_PEER_AS]
        told = heard.opens(other)
        wanted = f"AS {told[-1].asn} of {other} accepted" if told else "the peer's AS accepted"
        expect(not refused, name, expected=wanted, seen=_said(heard, address))


def _of_the_session(site: Site, vif: VifSubject) -> dict[str, str]:
    """What the OND's daemon says of an established session; nothing of another one."""
    lines = birdc(site, vif.on.ond, "show", "protocols", "all", _protocol(vif))
    pairs = (line.partition(":") for line in lines)
    said = {key.strip(): value.strip() for key, _, value in pairs}
    return said if said.get("BGP state") == "Established" else {}


def _concluded(heard: Heard, own: object, peer: object) -> bool:
    """Whether both have said OPEN and one has refused the other's."""
    return bool(heard.opens(own) and heard.opens(peer) and heard.refused(own, peer))


def _said(heard: Heard, address: object) -> str:
    """What an end has said last, in words."""
    words = [
        f"OPEN with AS {message.asn}" if isinstance(message, Open) else str(message)
        for message in heard.of(address)
        if isinstance(message, Open | Notification)
    ]
    return ", ".join(dict.fromkeys(words)) or f"no OPEN from {address} within {RETRY_S:g} s"


@pytest.mark.after("vlan.peer-answers", "bgp.port", "bgp.asns")
def test_established(site: Site, vif: VifSubject) -> None:
    """The BGP session of the VIF is Established.

    Expected: state Established at the OND, and at the customer device where that can be asked.
    Source: A10, A11 (T1); M1: VifBgpSessionState 6
    Remedy: look at the log of both daemons (testbed logs) for the reason given.
    """
    row = _session(site, vif)
    reason = f" ({row['reason']})" if row.get("reason") else ""
    expect(row["ok"], _device_end(vif), expected="Established", seen=f"{row['state']}{reason}")
    local = str(vif.vif.local_address.ip)
    for far in site.rows("bgp", node=vif.on.device, neighbor=local):
        expect(far["ok"], _device_end(vif), expected="Established", seen=far["state"])


@pytest.mark.after("bgp.established")
def test_stable(site: Site, vif: VifSubject) -> None:
    """The BGP session of the VIF stays up.

    Expected: it is up, and did not go down again while it was looked at.
    Source: A10 (T1): a session that flaps between Active and Connect
    Remedy: look for loss on the LAG, hold timers that expire, and what resets the session.
    """
    peer = str(vif.vif.peer_address.ip)
    seen = steady(site, vif.on.ond, _protocol(vif), peer)
    expect(seen == "stays Established", _device_end(vif), expected="no flap", seen=seen)


@pytest.mark.after("bgp.established")
def test_outpost_announces(site: Site, vif: VifSubject) -> None:
    """The OND announces what belongs on the VIF, with the AS path lengths of an Outpost.

    Expected: on the service link its own /27 of the infrastructure subnet with path length 1 and
    the other one with 4; on the local gateway its subnets or CoIP pools, exactly.
    Source: A9, B1 (T1); R1, R2: /27s with lengths 1 and 4; R1 tip, L2: never the VPC's CIDR
    Remedy: check the OND's configuration and which route tables target the local gateway.
    """
    wanted = _wanted(site, vif)
    routes = _announced(site, vif, lambda now: _lengths(now.sent) == wanted).sent
    name = f"{vif.on.ond} {vif.ond_interface}"
    for prefix in {**wanted, **routes}:
        seen, length = _lengths(routes).get(prefix), wanted.get(prefix)
        expect(
            seen == length,
            f"{name}: {prefix}",
            expected=f"AS path length {length}" if length else "not announced",
            seen=f"AS path length {seen}" if seen else "not announced",
        )


def _lengths(routes: Routes) -> dict[IPv4Network, int]:
    return {prefix: len(path) for prefix, path in routes.items()}


def _wanted(site: Site, vif: VifSubject) -> dict[IPv4Network, int]:
    """What the OND is to announce, with the length of the AS path."""
    outpost, device = vif.on.outpost, vif.on.lag.device
    drained = device in outpost.drained
    if vif.purpose == "local-gateway":
        return dict.fromkeys(site.topology.announced(outpost), LONG if drained else SHORT)
    lengths = {}
    for owner in (1, 2):
        short = not drained and (owner == device or owner in outpost.drained)
        lengths[outpost.service_link.own_prefix(owner)] = SHORT if short else LONG
    return lengths


@pytest.mark.after("bgp.established", part="service-link")
def test_route_to_rack(site: Site, lag: LagSubject) -> None:
    """The customer device's VRF of the service link routes the OND's /27 to that OND.

    Expected: the route to the OND's half of the infrastructure subnet leaves by its VIF.
    Source: B1, B2, D10 (T1): the VRF's route table uses the service link range that BGP brought
    Remedy: prefer AS path length 1 over 4; don't alter attributes; put the session into the VRF.
    """
    if not exists(site, lag.device):
        pytest.skip(f"{lag.device} is a real device: its route table can't be read")
    vif = VifSubject(lag, "service-link")
    prefix = lag.outpost.service_link.own_prefix(lag.lag.device)
    command = ["ip", "-o", "route", "get", str(prefix.network_address + 1), "vrf", vif.vrf]
    done = site.testbed[lag.device].run(command, check=False)
    seen = done.text.partition(" src")[0].strip() or done.stderr.decode().strip()
    drained = lag.lag.device in lag.outpost.drained
    ok = done.returncode == 0 and (drained or f"dev {vif.device_interface} " in f"{seen} ")
    wanted = f"by way of {vif.device_interface}" if not drained else "any route"
    expect(ok, f"{lag.device}: {prefix} in VRF {vif.vrf}", expected=wanted, seen=seen)


@pytest.mark.after("bgp.established", part="local-gateway")
def test_multipath(site: Site, device: NodeSubject) -> None:
    """A device with several sessions to an Outpost uses the equal paths of all of them.

    Expected: its route to each prefix that the local gateway announces has as many next hops.
    Source: R1, H1: enable BGP multipath on the customer device
    Remedy: enable multipath (maximum-paths) for the ONDs' sessions on the device.
    """
    applies = False
    for outpost in site.topology.outposts.values():
        lags = [lag for lag in OutpostSubject(outpost).lags if lag.device == device.name]
        ways = [lag for lag in lags if lag.lag.device not in outpost.drained]
        for prefix in site.topology.announced(outpost) if len(ways) > 1 else ():
            applies = True
            command = ["ip", "-j", "route", "show", str(prefix), "table", str(TABLE_LOCAL_GATEWAY)]
            shown = json.loads(site.testbed[device.name].run(command, check=False).text or "[]")
            hops = len(shown[0].get("nexthops") or shown) if shown else 0
            name, wanted = f"{device}: {prefix}", f"{len(ways)} next hops"
            expect(hops == len(ways), name, expected=wanted, seen=f"{hops} next hops")
    if not applies:
        pytest.skip(f"{device} has one session with each Outpost: there is nothing to balance over")


@pytest.mark.after("bgp.established", part="service-link")
def test_way_to_region(site: Site, lag: LagSubject) -> None:
    """The customer device announces the way to the Region on the service link's VIF.

    Expected: routes that cover the addresses of all anchors: AWS's ranges or a default route.
    Source: A9, B3, D11 (T1): AWS public ranges or a default route in the VRF of the service link
    Remedy: leak the Region's ranges or a default route into the service link's VRF and announce it.
    """
    vif = VifSubject(lag, "service-link")
    anchors = site.topology.anchors(lag.outpost)

    def covered(now: Announced) -> bool:
        return all(any(a.address in prefix for prefix in now.received) for a in anchors)

    routes = _announced(site, vif, covered).received
    for anchor in anchors:
        found = [prefix for prefix in routes if anchor.address in prefix]
        seen = ", ".join(map(str, routes)) or "no prefixes"
        wanted = f"a prefix that covers {anchor.name}, {anchor.address}"
        expect(found, _device_end(vif), expected=wanted, seen=seen)


@pytest.mark.after("bgp.established")
def test_no_leak(site: Site, vif: VifSubject) -> None:
    """The customer device announces nothing on the VIF that belongs to the other one.

    Expected: no LAN, Outpost subnet or VPC on the service link; no infrastructure subnet and no
    address inside AWS on the local gateway.
    Source: A9 (T1); R1: VRF separation of service link and local gateway; S2: routing conflicts
    Remedy: filter what the device's VRF announces to the OND; look for a leak between its VRFs.
    """
    foreign = _foreign(site, vif)
    for prefix in _announced(site, vif).received:
        owner = next((o for c, o in foreign.items() if prefix.subnet_of(c)), None)
        seen = f"announced: a part of {owner}" if owner else "its own"
        name = f"{_device_end(vif)}: {prefix}"
        expect(owner is None, name, expected="only what belongs to its VRF", seen=seen)


def _foreign(site: Site, vif: VifSubject) -> dict[IPv4Network, str]:
    topology = site.topology
    racks = topology.outposts.values()
    if vif.purpose == "local-gateway":
        infrastructure = {
            rack.service_link.infrastructure_cidr: f"the infrastructure subnet of {rack.name}"
            for rack in racks
        }
        return infrastructure | {INTERNAL: "the addresses inside AWS"}
    own = vif.on.outpost.service_link.vpc
    found = {segment.cidr: f"LAN {segment.name}" for segment in topology.site.segments}
    vpcs = (vpc for vpc in topology.vpcs.values() if vpc.name != own)
    found |= {vpc.cidr: f"VPC {vpc.name}" for vpc in vpcs}
    found |= {
        c: f"the local gateway of {rack.name}" for rack in racks for c in topology.announced(rack)
    }
    return found | {
        vif.on.outpost.service_link.infrastructure_cidr: "its own infrastructure subnet"
    }


@pytest.mark.after("bgp.established")
def test_equal(site: Site, outpost: OutpostSubject) -> None:
    """The customer announces the same prefixes, with equal AS paths, to all ONDs.

    Expected: each prefix comes to every OND, with the same AS path length.
    Source: A9 (T1); R1, H1: equal prefixes with the same attributes to all Outpost devices
    Remedy: announce the missing prefix on the other device, too; take off what prepends there.
    """
    for purpose in ("service-link", "local-gateway"):
        vifs = [VifSubject(lag, purpose) for lag in outpost.lags]
        received = site.settled(
            lambda vifs=vifs: [_announced(site, vif).received for vif in vifs],  # type: ignore[misc]
            lambda all_: all(_lengths(one) == _lengths(all_[0]) for one in all_),
            SETTLE_S,
        )
        for prefix in sorted({prefix for routes in received for prefix in routes}):
            best = min(len(routes[prefix]) for routes in received if prefix in routes)
            for vif, routes in zip(vifs, received, strict=True):
                path = routes.get(prefix)
                expect(
                    path is not None and len(path) == best,
                    f"{_device_end(vif)}: {prefix}",
                    expected=f"announced with AS path length {best}, as elsewhere",
                    seen="not announced" if path is None else f"AS path length {len(path)}",
                )
