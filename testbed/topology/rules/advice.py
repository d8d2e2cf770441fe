"""What is legal in a topology, and most likely not meant."""

from __future__ import annotations

from testbed.topology.model import Site, Topology


def advice(topology: Topology) -> list[str]:
    """Say which AS numbers are refused as loops between sites that a WAN joins, one line each.

    A router refuses a route with its own AS number in the path (RFC 4271, 9.1.2), so two sites
    with one number, or two local gateways, do not reach each other.
    """
    site = topology.site
    if site.wan is None:
        return []
    found = []
    joined = {uplink.device for uplink in site.wan.uplinks}
    asns = {device.name: device.asn for device in site.devices if device.name in joined}
    for asn in sorted(set(asns.values())):
        places = {_place(site, name) for name, own in asns.items() if own == asn}
        if len(places) > 1:
            names = ", ".join(sorted(name for name, own in asns.items() if own == asn))
            found.append(
                f"{names} are in different places, but all have AS {asn}: each refuses the routes"
                " of the others as a loop; give each place its own AS number"
            )
    racks = [rack for rack in topology.racks.values() if joined & {*rack.customer_devices}]
    for asn in sorted({domain.asn for rack in racks for domain in rack.domains}):
        alike = [rack for rack in racks if asn in {domain.asn for domain in rack.domains}]
        names = ", ".join(rack.name for rack in alike)
        apart = {_place(site, lag.customer_device) for rack in alike for lag in rack.lags}
        if len(alike) > 1 and len(apart) > 1:
            found.append(
                f"the local gateways of {names} all have AS {asn}: their Outposts cannot reach each"
                " other through the WAN; order different AS numbers"
            )
    return found


def _place(site: Site, device: str) -> frozenset[str]:
    """The devices that a device reaches without the WAN."""
    found, grown = {device}, True
    while grown:
        before = len(found)
        found = found.union(*(set(link.devices) for link in site.links if found & {*link.devices}))
        grown = len(found) > before
    return frozenset(found)
