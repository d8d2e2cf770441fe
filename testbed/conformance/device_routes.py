"""What a customer device's route tables have."""

from __future__ import annotations

import json

from testbed.conformance.site import Site
from testbed.plan.model import Vrf


def table_of(site: Site, device: str, vrf: str) -> int:
    """The kernel table of a device's VRF."""
    kind = site.plan.node(device).interface(vrf).device
    assert isinstance(kind, Vrf)
    return kind.table


def next_hops(site: Site, device: str, vrf: str, prefix: str) -> list[str]:
    """The interfaces that a device's route to a prefix leaves by, one for each next hop."""
    command = ["ip", "-j", "route", "show", prefix, "table", str(table_of(site, device, vrf))]
    shown = json.loads(site.testbed[device].run(command, check=False).text or "[]")
    hops = (shown[0].get("nexthops") or shown) if shown else []
    return [str(hop["dev"]) for hop in hops if "dev" in hop]
