"""Availability Zones: what goes from one to another takes longer.

The Region's router of a VPC has ports in several zones: a network interface's
in its subnet's, the overlay's in the zone that the Outpost is anchored to. A
packet that leaves by a port of another zone than it came in by is delayed
there; others pass at once. Gateways are in no zone.
"""

from __future__ import annotations

from dataclasses import replace

from testbed.lower.builder import Draft, netem
from testbed.lower.vpc import interfaces, overlay
from testbed.lower.vpc.router import VpcRouter
from testbed.plan.model import SLOW
from testbed.topology.model import Quality, Topology


def add_delays(draft: Draft, topology: Topology, region: VpcRouter) -> None:
    """Delay what crosses zones in the Region's router of a VPC."""
    delay = netem(Quality(delay_ms=topology.region.zone_delay_ms))
    zones: dict[str, list[str]] = {}
    for interface in region.interfaces:
        subnet = topology.subnet(interface.vpc, interface.subnet)
        zones.setdefault(subnet.zone, []).append(interfaces.port(interface))
    ports = {interface.name for interface in region.node.interfaces}
    for outpost in topology.outposts.values():
        port = overlay.far_port(outpost)
        if port in ports:
            zones.setdefault(outpost.zone, []).append(port)
    if delay is None or len(zones) < 2:
        return
    jumps = []
    for name, zone in zones.items():
        number = draft.numbers.claim(f"zone/{region.vpc.name}", name)
        names = ", ".join(f'"{port}"' for port in zone)
        rules = [f"oifname {{ {names} }} return", f"meta priority set {SLOW}"]
        region.ruleset.chains[f"zone_{number}"] = rules
        jumps += [f'"{port}" : jump zone_{number}' for port in zone]
    region.ruleset.chains["zones"] = [
        "type filter hook forward priority filter - 10; policy accept;",
        f"iifname vmap {{ {', '.join(jumps)} }}",
    ]
    for port in (port for zone in zones.values() for port in zone):
        region.node.impair(port, replace(delay, classified=True))
