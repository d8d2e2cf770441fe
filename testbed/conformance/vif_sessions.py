"""The BGP session of a VIF: its names, its state, and what both ends announce."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from itertools import permutations

from testbed.conformance.bgp_wire import Heard, Notification, Open
from testbed.conformance.daemons import sessions_of
from testbed.conformance.probing import birdc
from testbed.conformance.rack_subjects import VifSubject
from testbed.conformance.session_routes import Announced, announced
from testbed.conformance.site import SETTLE_S, Site
from testbed.conformance.site_subjects import links
from testbed.lower import names
from testbed.plan.bird import symbol

RETRY_S = 10.0  # an OND tries again after 2 s, 4 s after an error


def protocol_of(vif: VifSubject) -> str:
    """The session's name in the OND's BIRD."""
    return symbol(names.ond_session(vif.on.lag, vif.vif))


def session_row(site: Site, vif: VifSubject) -> dict[str, object]:
    """The session as `testbed status` has it at the OND, once it has had time to come up."""
    peer = str(vif.vif.peer_address.ip)
    return site.settled(
        lambda: site.row("bgp", node=vif.on.ond, neighbor=peer), lambda row: row["ok"], SETTLE_S
    )


def announced_on(
    site: Site, vif: VifSubject, ok: Callable[[Announced], object] = bool
) -> Announced:
    """What both ends announce, from the OND's side."""
    return announced(site, vif.on.ond, protocol_of(vif), ok)


def device_end(vif: VifSubject) -> str:
    """The customer's end, as people call it."""
    return f"{vif.on.device} {vif.device_interface}"


def asns_of(site: Site, vif: VifSubject) -> dict[str, str]:
    """What the OND's daemon says of an established session; nothing of another one."""
    lines = birdc(site, vif.on.ond, "show", "protocols", "all", protocol_of(vif))
    pairs = (line.partition(":") for line in lines)
    said = {key.strip(): value.strip() for key, _, value in pairs}
    return said if said.get("BGP state") == "Established" else {}


def concluded(heard: Heard, own: object, peer: object) -> bool:
    """Whether both have said OPEN and one has refused the other's."""
    return bool(heard.opens(own) and heard.opens(peer) and heard.refused(own, peer))


def said_by(heard: Heard, address: object) -> str:
    """What an end has said last, in words."""
    words = [
        f"OPEN with AS {message.asn}" if isinstance(message, Open) else str(message)
        for message in heard.of(address)
        if isinstance(message, Open | Notification)
    ]
    return ", ".join(dict.fromkeys(words)) or f"no OPEN from {address} within {RETRY_S:g} s"


def brought_by(site: Site, vif: VifSubject, prefix: IPv4Network) -> str:
    """Which of its neighbours has brought the customer device a prefix; "" if none has."""
    for link in links(site.topology):
        for own, other in permutations(link.ends):
            if own.node == vif.on.device and link.vrf == vif.vrf:
                for session in sessions_of(site, other.node, routes=True):
                    told = {announced for announced, _ in session.routes}
                    if session.neighbor == str(own.address) and str(prefix) in told:
                        return f", from {other.node}"
    return ""
