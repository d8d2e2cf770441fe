"""The BGP session of a VIF: its names, its state, and what both ends announce."""

from __future__ import annotations

from testbed.conformance.bgp_wire import Heard
from testbed.conformance.expectation import expect
from testbed.conformance.probing import announced_anew
from testbed.conformance.site import SETTLE_S, Site
from testbed.conformance.subjects import VifSubject


def protocol_of(vif: VifSubject) -> str:
    """The session's name in the OND's BIRD."""
    return f"customer_{vif.purpose.replace('-', '_')}"


def session_row(site: Site, vif: VifSubject) -> dict[str, object]:
    """The session as `testbed status` has it at the OND, once it has had time to come up."""
    peer = str(vif.vif.peer_address.ip)
    return site.settled(
        lambda: site.row("bgp", node=vif.on.ond, neighbor=peer), lambda row: row["ok"], SETTLE_S
    )


def heard_on(site: Site, vif: VifSubject) -> Heard:
    """What both ends announce, sent anew for the first check that asks."""
    return site.once(("announced", vif.name), lambda: _announced(site, vif))


def _announced(site: Site, vif: VifSubject) -> Heard:
    place = (vif.on.ond, vif.ond_interface)
    own, peer = vif.vif.local_address.ip, vif.vif.peer_address.ip
    heard = announced_anew(site, place, protocol_of(vif), own, peer)
    for name, address in ((device_end(vif), peer), (" ".join(place), own)):
        number = len(heard.of(address))
        expect(number, name, expected="an answer to ROUTE-REFRESH", seen=f"{number} messages")
    return heard


def device_end(vif: VifSubject) -> str:
    """The customer's end, as people call it."""
    return f"{vif.on.device} {vif.device_interface}"
