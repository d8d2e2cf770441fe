"""The customer's own network, and what else has to run: machines, cables, links, LANs, sessions.

What other suites look at more closely is theirs: LAGs and VIFs, Direct Connect, providers.
"""

from __future__ import annotations

import json
from itertools import permutations

import pytest
from scapy.layers.l2 import ARP, Ether

from testbed.conformance.daemons import session_of, sessions_of
from testbed.conformance.device_routes import table_of
from testbed.conformance.expectation import expect
from testbed.conformance.probing import captures, expect_up, ping
from testbed.conformance.sessions import steady
from testbed.conformance.site import SETTLE_S, Site
from testbed.conformance.site_subjects import (
    LinkEnd,
    LinkSubject,
    MachineSubject,
    SegmentSubject,
    plan_of,
)
from testbed.conformance.watching import send_frames
from testbed.lower import names
from testbed.plan.checks import BgpCheck
from testbed.plan.model import TABLE_MAIN, Veth
from testbed.plan.roles import SITE

DEFAULT = "0.0.0.0/0"
DOWN = {"administratively down", "missing"}
PROBE = "0.0.0.0"  # noqa: S104 - the sender's address of an ARP probe (RFC 5227)
ARRIVES_S = 2.0


def _rows(site: Site, machine: MachineSubject) -> list[dict[str, str]]:
    return site.rows("links", node=machine.name)


def test_powered(site: Site, machine: MachineSubject) -> None:
    """The machine is switched on.

    Expected: at least one of its interfaces is up.
    Source: A3, D1 (T1)
    Remedy: switch it on or, if it has only one interface, set that up.
    """
    states = [row["state"] for row in _rows(site, machine)]
    off = "switched off: all of its interfaces are down"
    on = set(states) - DOWN
    expect(on, machine, expected="switched on", seen=(off if states else None) if not on else "on")


@pytest.mark.after("site.powered")
@pytest.mark.follows("site.powered")
def test_cables(site: Site, machine: MachineSubject) -> None:
    """The cables inside a rack and inside the Region have carrier.

    Expected: every interface of the machine is up, except those to the customer, which lag.carrier,
    site.link, isp.link and direct-connect.link check, and those behind a Direct Connect port, which
    lose their carrier with it.
    Source: A3, A4 (T1)
    Remedy: the inside of a rack and the Region are AWS's: open a support case.
    """
    plan = plan_of(site.topology)
    inner = {node.name for node in plan.nodes if node.group != SITE}
    inner -= {names.direct_connect(connection) for connection in site.topology.site.direct_connects}
    places = []
    for interface in plan.node(machine.name).interfaces if machine.name in inner else ():
        device = interface.device
        if isinstance(device, Veth) and device.peer_node in inner:
            places += [(machine.name, interface.name), (device.peer_node, device.peer)]
    if not places:
        pytest.skip("it has no cable with both ends inside AWS")
    expect_up(site, places)


@pytest.mark.after("site.powered")
def test_daemons(site: Site, machine: MachineSubject) -> None:
    """The machine's programs are running: routing daemons, servers, agents.

    Expected: every program of its role is running.
    Source: A10 (T1)
    Remedy: read its log (testbed logs) to see why it ended, and restart it.
    """
    wanted = {process.name for process in plan_of(site.topology).node(machine.name).processes}
    if not wanted:
        pytest.skip("it runs no program")
    (row,) = (row for row in site.rows("nodes") if row["name"] == machine.name)
    states = {entry["name"]: entry for entry in row["processes"]}
    for name in sorted(wanted):
        state = states.get(name, {"ok": False, "state": "not started"})
        expect(state["ok"], f"{machine} {name}", expected="running", seen=state["state"])


@pytest.mark.after("site.powered")
def test_default_route(site: Site, machine: MachineSubject) -> None:
    """The machine has its default route.

    Expected: a route to 0.0.0.0/0 through its gateway.
    Source: V (route tables: each subnet's router); D12 (T1)
    Remedy: configure the default gateway, statically or by DHCP.
    """
    node = plan_of(site.topology).node(machine.name)
    routes = [r for r in node.routes if r.destination == DEFAULT and r.type == "unicast"]
    if not routes:
        pytest.skip("it has no static default route")
    for table in dict.fromkeys(route.table for route in routes):
        argv = ["ip", "-j", "route", "show", "default", "table", str(table or TABLE_MAIN)]
        shown = json.loads(site.testbed[machine.name].run(argv, check=False).text or "[]")
        found = [entry for entry in shown if entry.get("type", "unicast") == "unicast"]
        seen = "a default route" if found else "no default route"
        expect(found, machine, expected="a default route", seen=seen)


@pytest.mark.after("site.powered")
def test_link(site: Site, link: LinkSubject) -> None:
    """The link between two of the customer's routers is up, at both ends.

    Expected: carrier at both ends.
    Source: D1, E4 (T1)
    Remedy: check the interface's administrative state, its optical module and its cable.
    """
    expect_up(site, [(end.node, end.interface) for end in link.ends])


@pytest.mark.after("site.link")
def test_peer_answers(site: Site, link: LinkSubject) -> None:
    """The two ends of the link answer each other's pings.

    Expected: an answer to each end's ping, except from firewalls with their own rules.
    Source: D8, E4 (T1)
    Remedy: compare the addresses, prefix lengths and filters of both ends.
    """
    for asking, answering in _open_ways(site, link):
        result = site.settled(
            lambda a=asking, b=answering: ping(site, (a.node, a.interface), b.address),  # type: ignore[misc]
            lambda result: result.ok,
            SETTLE_S,
        )
        wanted, seen = f"{answering.address} answers {asking.node}", result.error or "an answer"
        expect(result.ok, answering, expected=wanted, seen=seen)


def _open_ways(site: Site, link: LinkSubject) -> list[tuple[LinkEnd, LinkEnd]]:
    """Who can ask whom: what the rules of a customer's own firewall refuse is not for us."""
    own = {wall.name for wall in site.topology.site.firewalls if wall.ruleset}
    return [(a, b) for a, b in permutations(link.ends) if b.node not in own]


@pytest.mark.after("site.link", "site.peer-answers")
def test_mtu(site: Site, link: LinkSubject) -> None:
    """Packets as large as the link's MTU pass it unfragmented, in both directions.

    Expected: pings of 1500 bytes, or the MTU of the file, with the bit Don't Fragment are answered.
    Source: S1, P: the paths of the service link and of the local gateway carry 1500 bytes
    Remedy: set the MTU of the interface to 1500 or more, at both ends.
    """
    for asking, answering in _open_ways(site, link):
        place = (asking.node, asking.interface)
        result = site.settled(
            lambda p=place, b=answering: ping(site, p, b.address, size=link.mtu, df=True),  # type: ignore[misc]
            lambda result: result.ok,
            SETTLE_S,
        )
        wanted = f"{link.mtu} bytes answered by {answering.address}"
        expect(result.ok, asking, expected=wanted, seen=result.error or "an answer")


@pytest.mark.after("site.link", "site.peer-answers", "site.daemons")
def test_established(site: Site, link: LinkSubject) -> None:
    """The BGP session over the link is Established, according to both daemons.

    This includes devices with their own configuration.

    Expected: state Established at both ends.
    Source: D3, E4 (T1)
    Remedy: compare the AS numbers, addresses, MD5 keys and prefix limits of both ends; read their
    logs.
    """
    _has_session(site, link)
    ends = link.ends
    for end, other in permutations(ends):
        session = site.settled(
            lambda e=end, o=other: session_of(site, e.node, o.address),  # type: ignore[misc]
            lambda session: session.up,
            SETTLE_S,
        )
        name = f"{end.node} to {other.node}, VRF {link.vrf}"
        expect(session.up, name, expected="Established", seen=session)
        told = steady(site, end.node, session.subject, str(other.address))
        expect(told.startswith("stays"), name, expected="no flap", seen=told)


@pytest.mark.after("site.established")
@pytest.mark.follows(
    *("site.link", "site.established", "lag.carrier", "vlan.tagged", "vlan.peer-answers"),
    *("bgp.established", "bgp.outpost-announces", "direct-connect.established", "site.lan"),
)
def test_accepted(site: Site, link: LinkSubject) -> None:
    """No network is unreachable because its announcement has the receiver's ASN in its path.

    A router refuses such a route as a loop (RFC 4271, 9.1.2). That matters if no other route to the
    prefix exists, as between two sites with the same AS number.

    Expected: for each announcement that is refused for this reason, another route to its prefix.
    Source: A9, D5 (T1); R1: AS numbers
    Remedy: give each site its own AS number, or let the receiver accept its own number
    (allowas-in), or let the sender replace it (as-override).
    """
    _has_session(site, link)
    for end, other in permutations(link.ends):
        announced = sessions_of(site, end.node, routes=True)
        routes = [
            route for s in announced if s.neighbor == str(other.address) for route in s.routes
        ]
        table = _kernel_table(site, other.node, link.vrf)
        known = _table(site, other.node, table)
        for prefix, path in routes:
            loop = end.asn != other.asn and other.asn in path
            words = " ".join(map(str, path))
            seen = f"AS path {words}: {other.node} is AS {other.asn} and has no other route"
            expect(
                not loop or prefix in known,
                f"{other.node}: {prefix} from {end.node}",
                expected=f"no AS {other.asn} in its path, or another route",
                seen=seen,
            )


@pytest.mark.after("site.established")
@pytest.mark.follows(
    *("site.link", "site.established", "lag.carrier", "vlan.tagged", "vlan.peer-answers"),
    *("bgp.established", "bgp.outpost-announces", "direct-connect.established", "site.lan"),
    *("isp.link", "isp.peer-answers", "isp.established", "isp.routes", "site.accepted"),
)
def test_announced(site: Site, link: LinkSubject) -> None:
    """Each router of the customer announces to its neighbour what else it knows.

    A session without announcements is not a second path.

    Expected: both ends announce something, unless everything they know is from that neighbour.
    Source: A9, E4 (T1); H1: redundant paths
    Remedy: check the export filter of the end that announces nothing.
    """
    _has_session(site, link)
    for end, other in permutations(link.ends):
        sessions = sessions_of(site, end.node, routes=True)
        (session,) = (s for s in sessions if s.neighbor == str(other.address))
        table = _kernel_table(site, end.node, link.vrf)
        more = _elsewhere(site, end, table)
        seen = f"{len(session.routes)} prefixes, though it knows {len(more)} from elsewhere"
        name = f"{end.node} to {other.node}, VRF {link.vrf}"
        expect(session.routes or not more, name, expected="some of what it knows", seen=seen)


def _has_session(site: Site, link: LinkSubject) -> None:
    """Skip a link over which neither device's own configuration has a session, but say OSPF."""
    expected = {
        (check.node, check.neighbor) for check in site.plan.checks if isinstance(check, BgpCheck)
    }
    if not any(
        (end.node, str(other.address)) in expected for end, other in permutations(link.ends)
    ):
        pytest.skip("the configurations of both ends have no BGP session over it")


def _elsewhere(site: Site, end: LinkEnd, table: int) -> list[str]:
    """What BGP and LANs have brought to a router's table by other interfaces than a link's."""
    argv = ["ip", "-j", "route", "show", "table", str(table)]
    rows = json.loads(site.testbed[end.node].run(argv, check=False).text or "[]")
    daemons = {"bird", "bgp"}
    return [
        str(row["dst"])
        for row in rows
        if row.get("protocol") in daemons
        and row.get("type", "unicast") == "unicast"
        and all(hop.get("dev") != end.interface for hop in row.get("nexthops") or [row])
    ]


def _kernel_table(site: Site, node: str, vrf: str) -> int:
    """The kernel table of a device's VRF; other routers have none."""
    return table_of(site, node, vrf) if node in _devices(site) else TABLE_MAIN


def _devices(site: Site) -> set[str]:
    return {device.name for device in site.topology.site.devices}


def _table(site: Site, node: str, table: int) -> set[str]:
    """The destinations of a kernel table."""
    argv = ["ip", "-j", "route", "show", "table", str(table)]
    rows = json.loads(site.testbed[node].run(argv, check=False).text or "[]")
    return {DEFAULT if row["dst"] == "default" else str(row["dst"]) for row in rows}


@pytest.mark.after("site.powered")
def test_lan(site: Site, segment: SegmentSubject) -> None:
    """The machines of the LAN have carrier, and the routers answer the hosts on it.

    Expected: all ports of the segment are up, and each router answers each host's ping.
    Source: D1, D8 (T1)
    Remedy: check the port and its cable, the address and its prefix length, and filters.
    """
    places = [(node, interface) for node, interface, _ in segment.machines]
    plan, ends = plan_of(site.topology), []
    for node, interface in places:
        device = plan.node(node).interface(interface).device
        ends += [(device.peer_node, device.peer)] if isinstance(device, Veth) else []
    expect_up(site, [*places, *ends])
    routers = {name for name, _ in segment.segment.routers}
    for node, interface, _ in segment.machines:
        for router, port, address in segment.machines if node not in routers else ():
            if router in routers:
                result = site.settled(
                    lambda n=node, i=interface, a=address: ping(site, (n, i), a),  # type: ignore[misc]
                    lambda result: result.ok,
                    SETTLE_S,
                )
                wanted, seen = f"{address} answers {node}", result.error or "an answer"
                expect(result.ok, f"{router} {port}", expected=wanted, seen=seen)


@pytest.mark.after("site.powered")
def test_unique_addresses(site: Site, segment: SegmentSubject) -> None:
    """Each address of the LAN belongs to one machine.

    One machine asks for all addresses with ARP probes, which leave no trace (RFC 5227).

    Expected: answers for each address come from one Ethernet address, and none for the asking
    machine's own address.
    Source: A8, D8 (T1): duplicate addresses
    Remedy: find the port of the second Ethernet address in the switch's table, and unplug it.
    """
    if not segment.machines:
        pytest.skip("no emulated machine is on it")
    node, interface, own = segment.machines[0]
    mac = site.plan.node(node).interface(interface).mac or ""
    frames = [
        Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=mac, psrc=PROBE, pdst=str(address))
        for _, _, address in segment.machines
    ]

    def owners() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {str(address): set() for _, _, address in segment.machines}
        for packet in heard[node, interface].packets:
            if ARP in packet and packet[ARP].op == 2 and packet[ARP].psrc in found:
                found[packet[ARP].psrc].add(packet[ARP].hwsrc)
        return found

    with captures(site, [(node, interface)], "arp") as heard:
        send_frames(site, (node, interface), frames)
        site.settled(
            owners,
            lambda found: all(macs for address, macs in found.items() if address != str(own)),
            ARRIVES_S,
        )
        site.testbed.advance(0.1) if site.testbed.is_virtual else None
    found = owners()
    found[str(own)].add(mac)
    for name, port, address in segment.machines:
        macs = sorted(found[str(address)])
        seen = f"{', '.join(macs) or 'no Ethernet address'} has {address}"
        expect(len(macs) < 2, f"{name} {port}: {address}", expected="one owner", seen=seen)


@pytest.mark.after("site.daemons")
@pytest.mark.follows(
    *("lag.carrier", "lag.members", "vlan.tagged", "vlan.addresses", "vlan.peer-answers"),
    *("site.powered", "site.cables", "site.link", "site.peer-answers", "site.established"),
    *("bgp.port", "bgp.asns", "bgp.signed", "bgp.prefix-limit", "bgp.established"),
    *("bgp.bfd", "direct-connect.prefix-limit"),
    *("isp.link", "isp.peer-answers", "isp.established"),
    *("direct-connect.link", "direct-connect.peer-answers", "direct-connect.established"),
    *("firewalls.passes-udp", "firewalls.passes-answers", "firewalls.symmetric"),
    *("service-link.handshake", "isp.routes", "isp.way-out", "bgp.way-to-region"),
)
def test_sessions(site: Site, machine: MachineSubject) -> None:
    """Every BGP session in a daemon's configuration is Established, whoever configured it.

    Expected: state Established, except for sessions that the configuration disables.
    Source: A10, A11, D3 (T1)
    Remedy: read the reason in the daemon's log (testbed logs); remove sessions that have no other
    end.
    """
    found = site.settled(
        lambda: sessions_of(site, machine.name),
        lambda found: all(session.up for session in found),
        SETTLE_S,
    )
    if not found:
        pytest.skip("it has no BGP session")
    for session in found:
        name = f"{machine} to {session.neighbor}"
        expect(session.up, name, expected="Established", seen=session)
