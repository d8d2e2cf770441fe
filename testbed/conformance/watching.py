"""Packets at several places at once, and frames that a node sends as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Any

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

from testbed.conformance.probing import exists, sent
from testbed.conformance.rack_subjects import DomainSubject, LagSubject, VifSubject
from testbed.conformance.site import Site
from testbed.errors import NetworkError
from testbed.lower import names
from testbed.plan.model import Loopback, Place
from testbed.probes.capture import Capture
from testbed.topology.model import Outpost

Address = IPv4Address | str
ARRIVAL_S = 3.0  # for a packet that has to come: the longest way, over a slow service link


def came(site: Site, capture: Capture, number: int = 1, within: float = ARRIVAL_S) -> bool:
    """Wait until a running capture has so many packets; whether it got them."""
    return bool(site.settled(lambda: len(capture.packets) >= number, bool, within))


def between(one: Address, other: Address) -> str:
    """The filter for packets between two addresses, tagged or not."""
    pair = untagged_between(one, other)
    return f"{pair} or (vlan and {pair})"


def untagged_between(one: Address, other: Address) -> str:
    """The same where there are no tags, or no Ethernet headers at all."""
    return f"(ip host {one} and ip host {other})"


def pairs(packets: Iterable[Any]) -> set[tuple[str, str]]:
    """The (source, destination) of every IPv4 packet."""
    return {(packet[IP].src, packet[IP].dst) for packet in packets if IP in packet}


def send_frames(site: Site, place: Place, frames: Sequence[Any]) -> None:
    """Send Scapy frames from an interface as they are."""
    problem = sent(site, place, "frames", frames)
    if problem:
        raise NetworkError(f"{' '.join(place)} cannot send a frame: {problem}")


def echo_request(source: Address, destination: Address, **layers: Any) -> Any:
    """An ICMP echo request; `layers` are members of its Ethernet header (`src`, `dst`)."""
    return Ether(**layers) / IP(src=str(source), dst=str(destination)) / ICMP() / b"conformance"


def ports(site: Site, node: str) -> list[Place]:
    """All interfaces of a node but its loopback."""
    interfaces = site.plan.node(node).interfaces
    return [(node, i.name) for i in interfaces if not isinstance(i.device, Loopback)]


def members(site: Site, lag: LagSubject) -> list[Place]:
    """The interfaces of a LAG, where frames have their tags: the OND's if the device is real."""
    if exists(site, lag.device):
        return [(lag.device, outside) for _, outside in lag.members]
    return [(lag.ond, inside) for inside, _ in lag.members]


def emulated(site: Site, domain: DomainSubject) -> VifSubject | None:
    """A domain's VIF from whose customer device frames can be sent; None: all are real."""
    return next((vif for vif in domain.vifs if exists(site, vif.on.device)), None)


def tunnels(site: Site, outpost: Outpost) -> list[Place]:
    """The inner interfaces of an Outpost's service link."""
    node = names.service_link(outpost)
    return [(node, f"wg{n}") for n, _ in enumerate(site.topology.anchors(outpost), start=1)]


def vlans(packets: Iterable[Any]) -> set[int | None]:
    """The VLANs that packets are tagged with; None for those that are not."""
    from scapy.layers.l2 import Dot1Q  # noqa: PLC0415

    return {packet[Dot1Q].vlan if Dot1Q in packet else None for packet in packets}


def counts(captures: Mapping[Place, Capture]) -> str:
    """How many packets there were where, in words."""
    found = [f"{len(c.packets)} at {node} {name}" for (node, name), c in captures.items()]
    return "; ".join(found) or "no place to look at"
