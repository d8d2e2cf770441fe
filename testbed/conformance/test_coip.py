"""Customer-owned IP addresses: translated one to one by the local gateway, both ways."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from testbed.conformance.expectation import expect
from testbed.conformance.permissions import Permissions
from testbed.conformance.probing import captures, exists
from testbed.conformance.rack_subjects import DomainSubject, VifSubject
from testbed.conformance.requesting import Request, answered, until
from testbed.conformance.site import Site
from testbed.conformance.subjects import InstanceSubject
from testbed.conformance.suites import CONNECTIVITY
from testbed.conformance.watching import (
    came,
    counts,
    echo_request,
    emulated,
    pairs,
    send_frames,
)
from testbed.conformance.ways import WayEnd, Ways
from testbed.lower import names
from testbed.plan.model import Place

pytestmark = pytest.mark.follows(*CONNECTIVITY)
FORWARDED_S = 0.5  # for a packet that must not come, once it has got to the local gateway


def domain_of(site: Site, end: WayEnd) -> DomainSubject:
    """The routing domain of an instance, where it is in CoIP mode."""
    rack = site.topology.racks.get(end.place or "")
    domain = rack.domain_of(end.vpc) if rack else None
    if rack is not None and domain is None and rack.domains[0].mode == "coip":
        pytest.skip("its VPC is not associated with the local gateway's route table")
    if rack is None or domain is None or domain.mode != "coip":
        pytest.skip("it is not on an Outpost in CoIP mode")
    return DomainSubject(rack, domain)


def owner(site: Site, instance: InstanceSubject) -> tuple[WayEnd, IPv4Address, DomainSubject]:
    """An instance with a customer-owned IP address, the address, and its routing domain."""
    end = Ways(site.topology).end(instance.instance.name)
    domain = domain_of(site, end)
    if end.owned is None:
        pytest.skip("it has no customer-owned IP address")
    return end, end.owned, domain


def vifs(site: Site, domain: DomainSubject) -> list[Place]:
    """The VLAN interfaces of the local gateway's VIFs: the OND's where the device is a real one."""
    return [
        (vif.on.device, vif.device_interface)
        if exists(site, vif.on.device)
        else (vif.on.ond, vif.ond_interface)
        for vif in domain.vifs
    ]


def to_onds(domain: DomainSubject) -> list[Place]:
    """The local gateway's interfaces towards the ONDs."""
    return [(domain.node, f"ond{device}") for device in domain.outpost.devices]


def test_reached(site: Site, instance: InstanceSubject) -> None:
    """The local network reaches an instance at its customer-owned IP address, and vice versa.

    Expected: every request of a LAN host to the address is answered, and every request of the
    instance to a LAN host.
    Source: L4, R1: 1:1 address translation by the local gateway
    Remedy: the customer's devices need the route to the CoIP pool from the local gateway's BGP
    sessions; the subnet needs a route to the local gateway.
    """
    ways, permissions = Ways(site.topology), Permissions(site.topology)
    end, owned, _ = owner(site, instance)
    wanted: list[Request] = []
    for host in ways.hosts:
        inward, outward = ways.way(host, end, owned), ways.way(end, host)
        for source, destination, way in ((host, end, inward), (end, host, outward)):
            request = permissions.request(source, destination, way) if way else None
            wanted += [request] if request else []
    if not wanted:
        pytest.skip("no LAN host can reach it through the filters")
    for request, answer in answered(site, wanted).items():
        expect(answer.ok, request, expected="an answer", seen=answer)


@pytest.mark.after("coip.reached")
def test_translated(site: Site, instance: InstanceSubject) -> None:
    """The local network sees an instance's customer-owned IP address, never its private one.

    Expected: on the VIFs and at a LAN host, all packets of the instance have its customer-owned
    address; at the instance, all have its private address.
    Source: R1, L4: the VPC's CIDR block is not used
    Remedy: look for an association of the address with another network interface.
    """
    ways, permissions = Ways(site.topology), Permissions(site.topology)
    end, owned, domain = owner(site, instance)
    host, request = next(
        (
            (host, request)
            for host in ways.hosts
            if (way := ways.way(end, host)) and (request := permissions.request(end, host, way))
        ),
        (None, None),
    )
    if host is None or request is None:
        pytest.skip("it can reach no LAN host through the filters")
    near, places = (end.name, "eth0"), [(host.name, "eth0"), *vifs(site, domain)]
    cidr = site.topology.vpcs[end.vpc].cidr
    ours = f"host {host.address} and (host {owned} or net {cidr})"
    with captures(site, [near, *places], ours, {near: f"host {host.address}"}) as seen:
        (answer,) = answered(site, [request]).values()
    expect(answer.ok, request, expected="an answer", seen=answer)
    outside = {pair for place in places for pair in pairs(seen[place].packets)}
    for place, address in ((f"{host} and the VIFs", owned), (str(end), end.address)):
        found = pairs(seen[near].packets) if place == str(end) else outside
        wanted = {(str(address), str(host.address)), (str(host.address), str(address))}
        _expect_pairs(f"{end} as {place} see it", wanted, found)


def _expect_pairs(subject: str, wanted: set[tuple[str, str]], found: set[tuple[str, str]]) -> None:
    shown = ", ".join(f"{source} to {destination}" for source, destination in sorted(found))
    expected = " and ".join(f"{source} to {destination}" for source, destination in sorted(wanted))
    expect(wanted == found, subject, expected=expected, seen=shown or "no packets")


@pytest.mark.after("coip.reached")
def test_hairpin(site: Site, instance: InstanceSubject) -> None:
    """Two customer-owned addresses of an Outpost reach each other at the local gateway.

    Expected: an answer; the instance sees the other's customer-owned address, and nothing goes to
    the networking devices.
    Source: L4; docs/fidelity.md: a pool has a propagated route
    Remedy: both instances' subnets need a route to the local gateway that covers the pool's range.
    """
    ways, permissions = Ways(site.topology), Permissions(site.topology)
    end, owned, domain = owner(site, instance)
    others = [o for o in ways.instances if o.place == end.place and o.owned and o != end]
    for other in others:
        way = ways.way(other, end, owned)
        request = permissions.request(other, end, way) if way else None
        if request is None:
            continue
        near, onds = (end.name, "eth0"), to_onds(domain)
        at_end = f"src host {other.owned}"
        with captures(site, [near, *onds], f"host {owned}", {near: at_end}) as seen:
            (answer,) = answered(site, [request]).values()
        expect(answer.ok, request, expected="an answer", seen=answer)
        expect(
            seen[near].packets,
            f"{other} as {end} sees it",
            expected=f"packets from {other.owned}",
            seen=counts({near: seen[near]}),
        )
        out = {place: seen[place] for place in onds}
        none = not any(len(capture.packets) for capture in out.values())
        expect(none, f"{domain} ONDs", expected="nothing of it", seen=counts(out))
        return
    pytest.skip("no other instance of the Outpost can reach its customer-owned address")


def test_only_owned(site: Site, instance: InstanceSubject) -> None:
    """With its private address, no instance reaches the local network or is reached from it.

    Frames to the private address are put on the VIF directly, whatever the customer's routes say;
    an instance without a customer-owned address also sends to a LAN host.

    Expected: the frame does not reach the VPC's router, and the requests do not leave the Outpost.
    Source: R1: the VPC's CIDR block is not used; docs/fidelity.md
    Remedy: look for routes to the VPC's CIDR block in the local gateway.
    """
    ways = Ways(site.topology)
    end = ways.end(instance.instance.name)
    domain = domain_of(site, end)
    vif, host = emulated(site, domain), next(iter(ways.hosts), None)
    if vif is not None:
        _expect_kept_out(site, domain, vif, end)
    elif end.owned is not None or host is None:
        pytest.skip("its customer devices are real: the check cannot send frames from them")
    if end.owned is None and host is not None:
        request = Request(end.name, str(host.address))
        onds, near = to_onds(domain), (names.outpost_vpc(domain.outpost, end.vpc), "lgw")
        with captures(site, [near, *onds], f"src host {end.address} and icmp") as seen:
            answers = until(site, [request], lambda _, answer: answer.ok, within=0)
        answer = answers[request]
        out = {place: seen[place] for place in onds}
        left = not any(len(capture.packets) for capture in out.values())
        expect(left, f"{end} at {domain} ONDs", expected="nothing", seen=counts(out))
        expect(not answer.ok, request, expected="no answer", seen=answer)


def _expect_kept_out(site: Site, domain: DomainSubject, vif: VifSubject, end: WayEnd) -> None:
    """A frame to the private address gets to the local gateway and no further."""
    lag = vif.on
    source = vif.vif.peer_address.ip
    hardware = site.plan.node(lag.ond).interface(lag.ond_bond).mac
    entrance = (domain.node, f"ond{lag.lag.device}")
    router = (names.outpost_vpc(domain.outpost, end.vpc), "lgw")
    filter_ = f"icmp and src host {source} and dst host {end.address}"
    with captures(site, [entrance, router], filter_) as seen:
        send_frames(
            site,
            (lag.device, vif.device_interface),
            [echo_request(source, end.address, dst=hardware)],
        )
        there = came(site, seen[entrance])
        came(site, seen[router], within=FORWARDED_S)
    expect(
        there,
        f"{end.address} at {' '.join(entrance)}",
        expected="the frame, led there by the networking device",
        seen=counts({entrance: seen[entrance]}),
    )
    number = len(seen[router].packets)
    expect(not number, f"{end} at {router[0]}", expected="kept out", seen=f"{number} packets")
