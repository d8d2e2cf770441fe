"""What AWS advises against, and what fails alone: legal, and asked about by `validate --strict`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from testbed.topology.model import Rack, Topology, Uplink
from testbed.topology.rules.advice import advice

LONGEST_RTT_MS = 175  # facts: S1
LEAST_MBPS = 500  # facts: S1, for each compute rack
LEAST_MTU = 1500  # facts: S1
SERVICE_LINKS = "AWS: service links"
LOCAL_RACK = "AWS: local network connectivity for racks"
AVAILABILITY = "AWS: high availability whitepaper, network attachment"


@dataclass(frozen=True, slots=True)
class Warned:
    """A departure from AWS's advice: its rule's name, the object, what is so, and the remedy."""

    rule: str
    object: str
    message: str
    remedy: str
    source: str

    def __str__(self) -> str:
        return f"{self.object}: {self.message} [{self.rule}; {self.source}]"

    def to_json(self) -> dict[str, str]:
        """Return it as `validate --strict --json` prints it."""
        return asdict(self)


def warned(topology: Topology) -> list[Warned]:
    """Find all departures, rule by rule."""
    return [entry for rule in RULES for entry in rule(topology)]


def _ways(topology: Topology) -> Iterator[tuple[str, Uplink]]:
    """The paths to the Region but Direct Connect, with what they are in the file."""
    site = topology.site
    for uplink in site.region_uplinks:
        yield f"site.region_link ({uplink.device})", uplink
    for wall in site.firewalls:
        yield f"site.region_link ({wall.name})", wall.outside


def _round_trip(topology: Topology) -> Iterator[Warned]:
    delays = [(place, way.quality.delay_ms) for place, way in _ways(topology)]
    delays += [
        (f"site.direct_connect.{each.name}", each.quality.delay_ms)
        for each in topology.site.direct_connects
    ]
    for place, delay in delays:
        if 2 * delay > LONGEST_RTT_MS:
            yield Warned(
                "round-trip",
                place,
                f"a round trip to the Region takes {2 * delay:g} ms or more, the most that AWS"
                f" supports is {LONGEST_RTT_MS} ms",
                "choose a nearer Region or a shorter path",
                SERVICE_LINKS,
            )


def _bandwidth(topology: Topology) -> Iterator[Warned]:
    rates = [(place, way.quality.rate_mbps) for place, way in _ways(topology)]
    rates += [
        (f"site.direct_connect.{each.name}", each.quality.rate_mbps)
        for each in topology.site.direct_connects
    ]
    for place, rate in rates:
        if 0 < rate < LEAST_MBPS:
            yield Warned(
                "bandwidth",
                place,
                f"carries {rate:g} Mbit/s, AWS asks for {LEAST_MBPS} Mbit/s for each compute rack",
                "order more bandwidth to the Region",
                SERVICE_LINKS,
            )


def _one_device(topology: Topology) -> Iterator[Warned]:
    for outpost in topology.racks.values():
        devices = sorted({lag.customer_device for lag in outpost.lags})
        if len(devices) == 1:
            yield Warned(
                "one-device",
                f"outposts.{outpost.name}.devices",
                f"all LAGs of {outpost.name} end in {devices[0]}: when it fails or is upgraded,"
                " service link and local gateway are down",
                "connect each Outpost networking device to a customer device of its own",
                AVAILABILITY,
            )


def _same_asn(topology: Topology) -> Iterator[Warned]:
    for text in advice(topology):
        said, _, remedy = text.rpartition("; ")
        yield Warned("same-asn", "site", said, remedy, "RFC 4271, 9.1.2")


def _no_bfd(topology: Topology) -> Iterator[Warned]:
    for outpost in topology.racks.values():
        without = dict.fromkeys(str(lag.device) for lag in outpost.lags if not lag.bfd)
        if without:
            yield Warned(
                "no-bfd",
                f"outposts.{outpost.name}",
                f"the sessions of networking device {' and '.join(without)} have no BFD: a path"
                " that fails without losing its link is noticed after the hold time, 90 s",
                f"ask AWS for BFD, and set outposts.{outpost.name}.uplinks.bfd",
                "AWS: Direct Connect, BFD",
            )


def _mtu(topology: Topology) -> Iterator[Warned]:
    site = topology.site
    sizes = [(place, way.quality.mtu) for place, way in _ways(topology)]
    sizes += [(f"site.links ({'-'.join(link.devices)})", link.quality.mtu) for link in site.links]
    sizes += [
        (f"site.direct_connect.{each.name} (VLAN {vif.vlan})", vif.mtu)
        for each in site.direct_connects
        for vif in each.virtual_interfaces
    ]
    if site.wan:
        sizes += [(f"site.wan ({way.device})", way.quality.mtu) for way in site.wan.uplinks]
    for place, mtu in dict(sizes).items():
        if mtu < LEAST_MTU:
            yield Warned(
                "mtu",
                place,
                f"carries {mtu} bytes; the service link needs a path of {LEAST_MTU}",
                f"raise the MTU to {LEAST_MTU}",
                SERVICE_LINKS,
            )


def _single_ways(topology: Topology) -> Iterator[Warned]:
    """One way to the Region, or several through one thing."""
    site = topology.site
    ways = {uplink.device for _, uplink in _ways(topology)}
    ways |= {each.name for each in site.direct_connects}
    doors = {uplink.device for uplink in site.region_uplinks}
    doors |= {each.device for each in site.direct_connects}
    doors |= {uplink.device for wall in site.firewalls for uplink in wall.inside}
    if not topology.outposts or not ways:
        return
    if len(ways) == 1:
        (only,) = ways
        wall = any(only == each.name for each in site.firewalls)
        yield Warned(
            "single-path",
            f"site.firewalls.{only}" if wall else "site.region_link",
            f"the only way to the Region is through {only}: without it the service link is down",
            "add a second, independent path (provider, firewall or Direct Connect)",
            AVAILABILITY,
        )
    elif len(doors) == 1:
        (only,) = doors
        yield Warned(
            "single-path",
            "site",
            f"all ways to the Region leave by {only}: without it the service link is down",
            "let another device have a path of its own",
            AVAILABILITY,
        )


def _not_joined(topology: Topology) -> Iterator[Warned]:
    """Devices of one Outpost without a link to another: one that loses its uplink isolates ONDs."""
    joined = [frozenset(link.devices) for link in topology.site.links]
    for outpost in topology.racks.values():
        devices = {lag.customer_device for lag in outpost.lags}
        alone = [
            name
            for name in sorted(devices)
            if len(devices) > 1 and not any(name in pair and pair <= devices for pair in joined)
        ]
        if alone:
            yield Warned(
                "no-link",
                "site.links",
                f"no link leads from {' and '.join(alone)} to another device of {outpost.name}: one"
                " that loses its other paths still attracts the Outpost's traffic",
                "connect them, with BGP in both VRFs",
                LOCAL_RACK,
            )


def _segments(topology: Topology) -> Iterator[Warned]:
    for segment in topology.site.segments:
        if len(segment.routers) == 1:
            ((only, _),) = segment.routers
            yield Warned(
                "single-router",
                f"site.segments.{segment.name}.devices",
                f"{only} is the only router of {segment.name}: without it nobody there reaches"
                " the Outposts",
                "give the segment a second router",
                AVAILABILITY,
            )


def _one_link(topology: Topology) -> Iterator[Warned]:
    for outpost in topology.racks.values():
        if _lone(outpost):
            yield Warned(
                "one-link",
                f"outposts.{outpost.name}.uplinks",
                f"each LAG of {outpost.name} is one fibre: a fibre that fails takes a whole"
                " networking device off the network",
                "order two links or more for each device",
                LOCAL_RACK,
            )


def _lone(outpost: Rack) -> bool:
    return all(lag.members == 1 for lag in outpost.lags)


RULES: tuple[Callable[[Topology], Iterator[Warned]], ...] = (
    _round_trip,
    _bandwidth,
    _mtu,
    _one_device,
    _one_link,
    _not_joined,
    _single_ways,
    _segments,
    _no_bfd,
    _same_asn,
)
