"""Outposts servers: the service link's port, as AWS's troubleshooting checklist for servers has it.

What the server's own commands say at its installation (describe-links, describe-ip,
describe-resolve, describe-reachability, get-connection) is what these checks look at.
"""

from __future__ import annotations

import pytest

from testbed.conformance.expectation import expect
from testbed.conformance.probing import expect_up, ping
from testbed.conformance.server_subjects import ServerSubject
from testbed.conformance.site import SETTLE_S, Site
from testbed.lower import names
from testbed.probes import outposts_server as server_commands

FULL_MTU = 1500
LEASE_S = 10.0
HANDSHAKE_S = 20.0


def test_port(site: Site, server: ServerSubject) -> None:  # noqa: ARG001 - declared facts
    """The switch ports of both legs are as AWS asks for them, and the provided cable is used.

    Expected: 10 Gbit/s, no auto-negotiation, the breakout cable that came with the server.
    Source: G2, G11 (T2); N1
    Remedy: set the port to 10 Gbit/s without auto-negotiation; use the provided breakout cable.
    """
    legs = {"service link port": server.server.link.port, "LNI port": server.server.local_port}
    for leg, port in legs.items():
        if port is not None:
            seen = ", ".join(port.problems) or "as asked for"
            expect(not port.problems, f"{server} {leg}", expected="as asked for", seen=seen)


@pytest.mark.after("site.powered")
@pytest.mark.follows("server.port")
def test_links(site: Site, server: ServerSubject) -> None:
    """Both legs of the breakout cable have a link: what describe-links says, and the port lights.

    Expected: carrier at the service link port and, where it is plugged in, at the LNI port.
    Source: G3, G4, G5, G6, G7 (T2); N4
    Remedy: seat the cable: leg 1 is for local network interfaces, leg 2 for the service link.
    """
    expect_up(site, [server.place, server.switch_port])
    if (port := server.server.local_port) is not None and (port.segment or port.tagged):
        expect_up(site, [(names.local_port(server.server), names.LOCAL_UPLINK)])


@pytest.mark.after("server.links")
def test_address(site: Site, server: ServerSubject) -> None:
    """The service link port has an address: what describe-ip says.

    Expected: its static address, or a lease of the segment's DHCP server.
    Source: G10 (T2); N1, N4
    Remedy: make the switch port an untagged access port; let the DHCP server have addresses left.
    """
    link = server.server.link
    shown = site.settled(
        lambda: server_commands.describe_ip(site.testbed.client, server.server),
        lambda shown: shown["links"][0]["ip"],
        LEASE_S,
    )
    address = shown["links"][0]["ip"]
    wanted = str(link.address.ip) if link.address else "a lease"
    seen = address or ("no lease" if link.dhcp else "no address")
    ok = address == wanted if link.address else bool(address)
    expect(ok, " ".join(server.place), expected=wanted, seen=seen)


@pytest.mark.after("server.address")
def test_gateway(site: Site, server: ServerSubject) -> None:
    """The service link port is untagged, and its gateway answers.

    Expected: a default route, and an answer of the gateway to a ping out of the port.
    Source: G10 (T2); N1
    Remedy: let the segment's router have the gateway's address; use an untagged access port.
    """
    shown = server_commands.describe_ip(site.testbed.client, server.server)["links"][0]
    gateway = shown["gateway"]
    expect(gateway, server, expected="a default gateway", seen=gateway or "none")
    result = site.settled(lambda: ping(site, server.place, gateway), lambda r: r.ok, SETTLE_S)
    seen = result.error or "an answer"
    expect(result.ok, " ".join(server.place), expected=f"{gateway} answers", seen=seen)


@pytest.mark.after("server.gateway")
def test_mtu(site: Site, server: ServerSubject) -> None:
    """Packets of 1500 bytes get from the service link port to the Region, and back.

    Expected: the Region's service link endpoints answer pings of 1500 bytes with DF.
    Source: G12 (T2); S1
    Remedy: let every link to the Region carry 1500 bytes.
    """
    for anchor in site.topology.region.anchors:
        result = site.settled(
            lambda anchor=anchor: ping(  # type: ignore[misc]
                site, server.place, anchor.address, size=FULL_MTU, df=True
            ),
            lambda result: result.ok,
            SETTLE_S,
        )
        seen = result.error or "an answer"
        place = f"{server} to {anchor.name}, {FULL_MTU} bytes"
        expect(result.ok, place, expected="an answer", seen=seen)


@pytest.mark.after("server.gateway")
def test_resolve(site: Site, server: ServerSubject) -> None:
    """Public DNS resolves the Outposts endpoint: what describe-resolve says.

    Expected: the address of outposts.REGION.amazonaws.com, by UDP 53.
    Source: G8, G13 (T2); N1, N3, N4
    Remedy: give the port a name server that resolves public names; let UDP 53 through.
    """
    shown = site.settled(
        lambda: server_commands.describe_resolve(site.testbed.client, site.topology, server.server),
        lambda shown: shown["dns_resolving"],
        SETTLE_S,
    )
    wanted = str(site.topology.region.outposts_address)
    seen = ", ".join(shown["records"]) or shown["error"]
    expect(wanted in shown["records"], f"{server}: {shown['query']}", expected=wanted, seen=seen)


@pytest.mark.after("server.gateway")
def test_reachability(site: Site, server: ServerSubject) -> None:
    """The Outposts endpoint can be reached by TCP 443: what describe-reachability says.

    Expected: a TCP connection to port 443 of the endpoint's address.
    Source: G9, G13 (T2); N3, N4
    Remedy: let TCP 1024-65535 to 443 through, from the port's address to the Region's ranges.
    """
    shown = site.settled(
        lambda: server_commands.describe_reachability(
            site.testbed.client, site.topology, server.server
        ),
        lambda shown: shown["is_reachable"],
        SETTLE_S,
    )
    seen = "reachable" if shown["is_reachable"] else shown["error"]
    expect(shown["is_reachable"], f"{server} to {shown['dst']}", expected="reachable", seen=seen)


@pytest.mark.after("server.gateway")
def test_passes_udp(site: Site, server: ServerSubject) -> None:
    """UDP 443 gets to the service link endpoints: their answers come back.

    Expected: what a tunnel sends to UDP 443 arrives at its endpoint.
    Source: G13 (T2); N3
    Remedy: let UDP 443 and 1024-65535 to 443 through, and the answers back.
    """
    for anchor in site.topology.region.anchors:
        place = (names.anchor(None, anchor), "edge")
        with site.testbed[place[0]].capture(place[1], "udp dst port 443") as wire:
            site.testbed[server.place[0]].run(_datagram(anchor.address), check=False)
            arrived = site.settled(lambda wire=wire: wire.packets, bool, SETTLE_S)  # type: ignore[misc]
        seen = "arrived" if arrived else "nothing arrived"
        subject = f"{server} to {anchor.name}, UDP 443"
        expect(arrived, subject, expected="arrives", seen=seen)


def _datagram(address: object) -> list[str]:
    return ["bash", "-c", f"echo > /dev/udp/{address}/443"]


@pytest.mark.after("server.passes-udp")
def test_authorised(site: Site, server: ServerSubject) -> None:
    """Keys are exchanged and both peers connected: what get-connection says.

    Expected: a handshake with the primary and with the secondary peer.
    Source: G14 (T2); N4, botocore (StartConnection, GetConnection)
    Remedy: authorise the server again: start-connection with the key from AWS, then get-connection.
    """
    shown = site.settled(
        lambda: server_commands.get_connection(site.testbed.client, site.topology, server.server),
        lambda shown: shown["connection_established"],
        HANDSHAKE_S,
    )
    for peer in ("primary", "secondary"):
        status = shown[f"{peer}_status"]
        subject = f"{server} {peer} peer {shown[f'{peer}_peer']}"
        expect(status == "success", subject, expected="success", seen=status)


@pytest.mark.after("server.authorised")
@pytest.mark.follows("server.reachability")
def test_connected(site: Site, server: ServerSubject) -> None:
    """AWS has the server as connected: ConnectedStatus.

    Expected: the Region's endpoint hears from the server that its service link works.
    Source: G1 (T2); M1
    Remedy: look at the service link first; then let TCP 443 through to the Region.
    """
    row = site.settled(
        lambda: site.row("management", subject=server.server.name),
        lambda row: row["ok"],
        HANDSHAKE_S,
    )
    expect(row["ok"], f"{server} ConnectedStatus", expected="connected", seen=row["state"])
