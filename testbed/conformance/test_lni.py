"""Local network interfaces of instances on Outposts servers: addresses, LAN, what is dropped."""

from __future__ import annotations

import json

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from testbed.conformance.expectation import expect
from testbed.conformance.probing import ping, sent
from testbed.conformance.server_subjects import AnnouncedSubject, LniSubject
from testbed.conformance.site import SETTLE_S, Site
from testbed.lower import names
from testbed.plan.model import Place
from testbed.programs.layer2.election import speaker
from testbed.topology.model import LanNetwork

LEASE_S = 10.0
STRANGER = "02:00:5e:00:53:01"  # nobody's (RFC 7042 has 00:00:5e:00:53:00 and on for examples)
EVERYBODY = "ff:ff:ff:ff:ff:ff"
DISCARD = 9
ARRIVES_S = 2.0
ELECTED_S = 75.0  # joined again within a minute, and what gratuitous ARP takes
ANSWERS_S = 0.5  # for all who answer
LINUX_ARP_S = 30.0
NOBODY = "0.0.0.0"  # noqa: S104 - the sender's address of an ARP probe (RFC 5227)


def _networks(lni: LniSubject) -> list[tuple[Place, LanNetwork]]:
    node = lni.interface.instance
    return [
        ((node, lni.device if n.vlan is None else f"{lni.device}.{n.vlan}"), n)
        for n in lni.interface.networks
    ]


def _uplink(lni: LniSubject) -> Place:
    return names.local_port(lni.server), names.LOCAL_UPLINK


@pytest.mark.after("site.powered", "server.links")
def test_address(site: Site, lni: LniSubject) -> None:
    """The interface has an address of the customer's LAN, in each of its VLANs.

    Expected: its static address, or a lease of the segment's DHCP server.
    Source: N1, N2 (ARP and DHCP pass; the VPC's DHCP options do not apply)
    Remedy: let the DHCP server have addresses left; put the port into the VLAN that the guest tags.
    """
    for place, network in _networks(lni):
        found = site.settled(
            lambda place=place: _addresses(site, place),  # type: ignore[misc]
            bool,
            LEASE_S,
        )
        wanted = str(network.address) if network.address else "a lease"
        seen = ", ".join(found) or ("no lease" if network.dhcp else "no address")
        ok = wanted in found if network.address else bool(found)
        expect(ok, " ".join(place), expected=wanted, seen=seen)


def _addresses(site: Site, place: Place) -> list[str]:
    state = site.testbed[place[0]].interfaces().get(place[1])
    return [text for text in (state.addresses if state else ()) if ":" not in text]


@pytest.mark.after("lni.address")
def test_gateway(site: Site, lni: LniSubject) -> None:
    """The LAN's gateway answers: the switch accepts the interface's MAC address and its VLAN.

    Expected: an answer to a ping out of the interface, in each VLAN that has a gateway.
    Source: N1, N2 (the switch must accept several MAC addresses; the guest tags)
    Remedy: admit the MAC addresses of all local network interfaces at the switch port; make the
    port a trunk with the VLANs that guests tag.
    """
    tried = 0
    for place, network in _networks(lni):
        if network.gateway is None:
            continue
        tried += 1
        result = site.settled(
            lambda place=place, network=network: ping(site, place, network.gateway),  # type: ignore[misc]
            lambda result: result.ok,
            SETTLE_S,
        )
        seen = result.error or "an answer"
        expect(result.ok, " ".join(place), expected=f"{network.gateway} answers", seen=seen)
    if not tried:
        pytest.skip("none of its networks has a gateway")


@pytest.mark.after("server.links")
def test_spoofing(site: Site, lni: LniSubject) -> None:
    """A frame from another MAC address than the interface's own is dropped by the server.

    Expected: an ARP request from the own MAC address leaves by the LNI port, one from another
    does not.
    Source: N1, N2 (no MAC spoofing)
    Remedy: none: this is AWS's side.
    """
    _expect_one(site, lni, _asks(STRANGER), _asks(lni.mac), "arp", "from another MAC address")


def _asks(mac: str) -> Ether:
    """A gratuitous ARP request for a documentation address (RFC 5737)."""
    return Ether(src=mac, dst=EVERYBODY) / ARP(hwsrc=mac, psrc="192.0.2.99", pdst="192.0.2.99")


@pytest.mark.after("server.links")
def test_broadcast(site: Site, lni: LniSubject) -> None:
    """Broadcast that is neither ARP nor DHCP is dropped by the server.

    Expected: an ARP request leaves by the LNI port, a UDP broadcast to another port does not.
    Source: N1 (ARP and DHCP are supported, general layer-2 broadcast is not)
    Remedy: none: this is AWS's side; use unicast.
    """
    call = Ether(src=lni.mac, dst=EVERYBODY)
    call /= IP(src="192.0.2.99", dst="255.255.255.255") / UDP(dport=DISCARD)
    filter_ = f"arp or udp port {DISCARD}"
    _expect_one(site, lni, call, _asks(lni.mac), filter_, "a broadcast")


def _expect_one(
    site: Site, lni: LniSubject, refused: Ether, passed: Ether, filter_: str, what: str
) -> None:
    """Send two frames: the one passes, and the other has not when that one does."""
    place = (lni.interface.instance, lni.device)
    node, uplink = _uplink(lni)
    with site.testbed[node].capture(uplink, filter_) as wire:
        trouble = sent(site, place, "frames", [refused, passed])
        expect(not trouble, lni, expected="two frames sent", seen=trouble or "sent")
        frames = site.settled(lambda: [bytes(p) for p in wire.packets], bool, ARRIVES_S)
    arrived = bytes(passed) in frames or any(f[6:12] == bytes(passed)[6:12] for f in frames)
    expect(arrived, lni, expected="an ARP request leaves", seen="left" if arrived else "nothing")
    let_through = any(bytes(refused)[:40] == frame[:40] for frame in frames)
    seen = f"{what} has left, too" if let_through else "dropped"
    expect(not let_through, lni, expected=f"{what} is dropped", seen=seen)


@pytest.mark.after("lni.address")
def test_service_remembered(site: Site, announced: AnnouncedSubject) -> None:
    """A host on the LAN that remembers the service's address finds the speaker.

    Hosts remember the MAC address of ARP longer than switches do where it is sent to; a switch
    that does not flood what it does not know then drops every frame for a speaker that was silent.
    The check only reads, and comes before those that ask: an answer would put things right.

    Expected: the switch floods, or remembers MAC addresses for longer than the host trusts ARP; the
    host's entry, if it has one, has the speaker's MAC address.
    Source: MetalLB issue 2910; N2 (nothing is sent but by the guest)
    Remedy: let hosts' ARP entries age sooner than the switch's MAC table, let the switch flood
    unknown unicast, or have the speaker send something more often than the switch forgets; clear
    the host's ARP cache.
    """
    host, segment = announced.host, announced.segment
    if host is None:
        pytest.skip("no host is on the LAN")
    switch, trusts = names.segment(segment), host.arp_timeout_s or LINUX_ARP_S
    hole = (
        f"a black hole: {switch} forgets MAC addresses after {segment.mac_ageing_s:g} s and"
        f" does not flood, {host.name} trusts ARP for {trusts:g} s"
    )
    ok = segment.floods or trusts < segment.mac_ageing_s
    expect(ok, announced, expected="frames that arrive", seen="frames that arrive" if ok else hole)
    macs = dict(announced.speakers)
    chosen = speaker(str(announced.service.address), macs)
    owners = {mac: node for node, mac in macs.items()}
    for mac in _cached(site, announced):
        seen = f"{host.name} has {owners.get(mac, mac)}'s MAC address"
        wanted = f"{host.name} has {chosen}'s MAC address"
        expect(mac == macs[str(chosen)], announced, expected=wanted, seen=seen)


def _cached(site: Site, announced: AnnouncedSubject) -> list[str]:
    """The MAC addresses in the host's ARP entries for the service's address."""
    node, port = announced.asks
    argv = ["ip", "-j", "neigh", "show", "to", str(announced.service.address), "dev", port]
    rows = json.loads(site.testbed[node].run(argv).text or "[]")
    return [row["lladdr"] for row in rows if "lladdr" in row]


@pytest.mark.after("lni.address", "lni.service-remembered")
def test_service_address(site: Site, announced: AnnouncedSubject) -> None:
    """One node of a layer-2 service answers ARP for its address, the others are silent.

    The question is from a MAC address of nobody's, so that no machine learns from the answer.

    Expected: of the nodes that run, the one with the lowest SHA-256 of node and address answers,
    with its local network interface's MAC address.
    Source: N1, N2 (ARP passes; no MAC spoofing); MetalLB's layer-2 mode
    Remedy: let the nodes' heartbeats reach each other, UDP 7946: by their local network
    interfaces, since Outposts don't reach each other through the Region; shut off whoever else
    has the address.
    """
    macs = dict(announced.speakers)
    chosen = speaker(str(announced.service.address), macs)
    owners = {mac: node for node, mac in macs.items()}
    answers = site.settled(
        lambda: _who_answers(site, announced), lambda found: found == {macs[str(chosen)]}, ELECTED_S
    )
    seen = " and ".join(sorted(owners.get(mac, mac) for mac in answers)) or "nobody"
    verb = "answer" if len(answers) > 1 else "answers"
    expect(
        answers == {macs[str(chosen)]},
        announced,
        expected=f"{chosen} answers",
        seen=f"{seen} {verb}",
    )


def _who_answers(site: Site, announced: AnnouncedSubject) -> set[str]:
    """The MAC addresses that answer a question for the service's address."""
    node, port = announced.asks
    address = str(announced.service.address)
    call = Ether(src=STRANGER, dst=EVERYBODY) / ARP(hwsrc=STRANGER, psrc=NOBODY, pdst=address)
    filter_ = f"arp[6:2] = 2 and arp src host {address} and ether dst {STRANGER}"
    with site.testbed[node].capture(port, filter_) as wire:
        trouble = sent(site, announced.asks, "frames", [call])
        expect(not trouble, announced, expected="a question is sent", seen=trouble or "sent")
        site.testbed.advance(ANSWERS_S)
        return {packet[ARP].hwsrc for packet in wire.packets}
