"""MTU of every kind of way: path MTU discovery, and TCP that relies on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

import pytest

from testbed.conformance.apart import apart
from testbed.conformance.expectation import Measurement, expect
from testbed.conformance.permissions import Permissions
from testbed.conformance.requesting import Answer, Request, until
from testbed.conformance.site import Site
from testbed.conformance.subjects import InstanceSubject
from testbed.conformance.suites import CONNECTIVITY
from testbed.conformance.ways import Way, WayEnd, Ways
from testbed.lower.rack.inner import SERVICE_LINK_MTU

pytestmark = pytest.mark.follows(*CONNECTIVITY)
INTERNET_MTU = 1500  # facts: EC2 mtu
TRANSFER = 100_000  # bytes
PORT = 7007  # of the transfer's own server, where no rule says otherwise
PATIENCE_S = 30.0


def examples(site: Site, end: WayEnd) -> Iterator[tuple[WayEnd, Way]]:
    """One other end for each kind of way from an instance, with the way there."""
    ways = Ways(site.topology)
    seen = set()
    for other in ways.ends:
        way = ways.way(end, other) if other != end else None
        if way is None or way.mtu is None or (way.kind, way.mtu) in seen:
            continue
        seen.add((way.kind, way.mtu))
        yield other, way


def internet(site: Site, end: WayEnd) -> IPv4Address | None:
    """A host on the internet that an instance reaches by an internet gateway of its VPC's."""
    region = site.topology.region
    if end.interface is None or region.internet is None or not end.interface.elastic_ips:
        return None
    table = site.topology.vpcs[end.vpc].table_of(end.interface.subnet)
    for host in region.internet.hosts:
        address = host.address.ip
        found = [r for r in table.routes if address in r.destination]
        best = max(found, key=lambda route: route.destination.prefixlen, default=None)
        if best is not None and best.target.kind == "internet-gateway":
            return address
    return None


def test_path(site: Site, instance: InstanceSubject) -> None:
    """Packets as large as the path's MTU pass, and one byte more triggers path MTU discovery.

    The instance and one other end for each kind of path ping each other with DF.

    Expected: 9001 bytes inside the VPC on one Outpost or in the Region and over peering, 8500
    through a transit gateway, 1300 over the service link, 1500 to the local network and the
    internet; for one byte more an ICMP error "fragmentation needed" (type 3, code 4) with that MTU,
    or a refusal by the sender's own interface.
    Source: S1 (1300), P (1500 by the local gateway), EC2 mtu
    Remedy: if the MTU is smaller, check the interfaces of the underlay; without an ICMP error,
    check network ACLs and firewalls that drop ICMP type 3, code 4.
    """
    ways, permissions = Ways(site.topology), Permissions(site.topology)
    end = ways.end(instance.instance.name)
    sizes: dict[Request, tuple[int, bool]] = {}
    for other, way in examples(site, end):
        if not permissions.allows(end, other, way, "icmp", 0):
            continue
        for source, to in ((end, way.to), (other, way.seen)):
            there = way if source == end else ways.way(other, end, way.seen)
            if there is not None and permissions.allows(
                source, other if source == end else end, there, "icmp", 0
            ):
                sizes |= _sizes(source.name, to, there.mtu or 0)
    if address := internet(site, end):
        place = end.interface and site.topology.place_of(end.interface)
        sizes |= _sizes(end.name, address, SERVICE_LINK_MTU if place else INTERNET_MTU)
    if not sizes:
        pytest.skip("filters allow it to ping nobody")

    def as_expected(request: Request, answer: Answer) -> bool:
        mtu, passes = sizes[request]
        refused = answer.error == "EMSGSIZE" and (answer.local or answer.mtu == mtu)
        return answer.ok if passes else refused and not answer.ok

    for request, answer in until(site, list(sizes), as_expected, seconds=1.0, within=4.0).items():
        mtu, passes = sizes[request]
        wanted = "an answer" if passes else f"fragmentation needed, MTU {mtu}"
        expect(as_expected(request, answer), request, expected=wanted, seen=answer)


def _sizes(node: str, to: IPv4Address, mtu: int) -> dict[Request, tuple[int, bool]]:
    """Requests of exactly the MTU, and of one byte more: the MTU, and whether they pass."""
    return {
        Request(node, str(to), size=mtu): (mtu, True),
        Request(node, str(to), size=mtu + 1): (mtu, False),
    }


@pytest.mark.after("mtu.path")
def test_tcp(site: Site, instance: InstanceSubject, measure: Callable[..., Measurement]) -> None:
    """A TCP transfer gets through on every kind of path, whatever its first segment size.

    100 kB in each direction, between the instance and one other end for each kind of path.

    Expected: all bytes arrive.
    Source: S1, P; EC2 mtu: path MTU discovery needs ICMP type 3, code 4
    Remedy: allow ICMP type 3, code 4, or clamp the TCP MSS where it is lost.
    """
    end = Ways(site.topology).end(instance.instance.name)
    permissions, tried = Permissions(site.topology), 0
    for other, way in examples(site, end):
        port = _free_port(site, permissions, end, other, way)
        if port is None:
            continue
        tried += 1
        got, said = _transfer(site, end, other, way, port)
        measure(f"{end} to {other}: bytes each way", got, "B", at_least=TRANSFER)
        expect(
            got == TRANSFER,
            f"{end} to {other}, TCP {port}",
            expected=f"{TRANSFER} bytes each way",
            seen=said or f"{got} bytes",
        )
    if not tried:
        pytest.skip("filters allow it no connection to an unused port")


def _free_port(
    site: Site, permissions: Permissions, end: WayEnd, other: WayEnd, way: Way
) -> int | None:
    """A port that filters let through and that no service of the other end's uses."""
    services = [
        *(i.services for i in site.topology.instances.values() if i.name == other.name),
        *(h.services for h in site.topology.site.hosts if h.name == other.name),
    ]
    used = {80 if service == "http" else 7 for service in services[0]}
    for port in (PORT, *permissions.boundaries(end, other, "tcp"), 80, 7, 443):
        if port not in used and permissions.allows(end, other, way, "tcp", port):
            return port
    return None


def _transfer(site: Site, end: WayEnd, other: WayEnd, way: Way, port: int) -> tuple[int, str]:
    """How many bytes came back, and what the client said instead."""
    with apart(site, (end.name, other.name)) as mark:  # no path MTU is known there
        numbers = (str(port), str(TRANSFER))
        serving = ["testbed-transfer", "serve", str(mark), *numbers]
        asking = ["testbed-transfer", "ask", str(mark), str(way.to), *numbers]
        with site.testbed.client.popen(other.name, serving, until="ready") as server:
            said = next(server.chunks(), b"")
            if b"ready" not in said:
                return 0, f"{other} cannot listen on TCP {port}: {bytes(server.stderr).decode()}"
            done = site.testbed[end.name].run(asking, check=False, timeout=PATIENCE_S)
    got = int(done.text) if done.text.strip().isdigit() else 0
    return got, done.stderr.decode(errors="replace").strip()
