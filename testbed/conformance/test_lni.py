"""Local network interfaces of instances on Outposts servers: addresses, LAN, what is dropped."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from testbed.conformance.expectation import expect
from testbed.conformance.probing import ping, sent
from testbed.conformance.server_subjects import LniSubject
from testbed.conformance.site import SETTLE_S, Site
from testbed.lower import names
from testbed.plan.model import Place
from testbed.topology.model import LanNetwork

LEASE_S = 10.0
STRANGER = "02:00:5e:00:53:01"  # nobody's (RFC 7042 has 00:00:5e:00:53:00 and on for examples)
EVERYBODY = "ff:ff:ff:ff:ff:ff"
DISCARD = 9
ARRIVES_S = 2.0


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
