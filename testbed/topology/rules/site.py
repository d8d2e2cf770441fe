"""Rules of the Region's edge and of the customer's site."""

from __future__ import annotations

from ipaddress import IPv4Address

from testbed.errors import Path
from testbed.topology.derive.site import VRFS
from testbed.topology.model import Device, Topology
from testbed.topology.report import Report
from testbed.topology.rules.lan import usable
from testbed.topology.rules.rulesets import explain, misplaced
from testbed.topology.rules.vpc import size
from testbed.topology.schema import TopologyForm

ANCHORS = 2  # tunnels of a service link (N4: primary and secondary peer)
LINK_CIDR_LENGTHS = (8, 20)


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check the Region and the site."""
    _region(topology, report)
    _devices(topology, report)
    _links(form, topology, report)
    _firewalls(form, topology, report)


def _region(topology: Topology, report: Report) -> None:
    region = topology.region
    for index, zone in enumerate(region.zones):
        if zone in region.zones[:index]:
            report.add(("region", "zones", index), f"the zone {zone} is named twice")
    size(("region", "public_cidr"), region.public_cidr, 8, 27, "public_cidr", report)
    if len(region.anchors) != ANCHORS and not report.touched(("region", "anchors")):
        message = f"a service link has {ANCHORS} anchors, the file names {len(region.anchors)}"
        report.add(("region", "anchors"), message, key=True)
    seen: dict[IPv4Address, str] = {
        region.public_cidr.network_address + 1: "the Region's edge",
        region.outposts_address: "the Outposts endpoint",
        region.public_resolver: "the internet's DNS resolver",
    }
    for anchor in region.anchors:
        at: Path = ("region", "anchors", anchor.name)
        if not usable(anchor.address, region.public_cidr):
            message = f"{anchor.address} is not a host address of public_cidr {region.public_cidr}"
            report.add(at, message)
        owner = seen.setdefault(anchor.address, anchor.name)
        if owner != anchor.name:
            report.add(at, f"{anchor.address} is already the address of {owner}")


def _devices(topology: Topology, report: Report) -> None:
    site = topology.site
    if topology.racks and not site.devices:
        message = "an Outpost needs a customer device to connect to, and there are none"
        report.add(("site", "devices"), message, "leave the key out for cnd1 and cnd2", key=True)
    if site.wan and not site.wan.uplinks:
        message = "the WAN connects no device, because the site has none"
        report.add(("site", "wan"), message, "leave it out, or name its devices", key=True)
    wan = {uplink.device for uplink in site.wan.uplinks} if site.wan else set()
    uplinked = {uplink.device for uplink in site.region_uplinks}
    for device in site.devices:
        at: Path = ("site", "devices", device.name, "asn")
        if device.name in uplinked and device.asn == topology.region.asn:
            message = f"AS {device.asn} is also the Region's, but for eBGP the two must differ"
            report.add(at, message, "give the device another ASN, or the Region (region.asn)")
        if site.wan and device.name in wan and device.asn == site.wan.asn:
            message = f"AS {device.asn} is also the WAN's, but for eBGP the two must differ"
            report.add(at, message, "give the device another ASN, or the WAN (site.wan.asn)")
        _own_words(device, report)


def _own_words(device: Device, report: Report) -> None:
    """What only a device with a configuration of its own has: names in it, further VRFs."""
    path: Path = ("site", "devices", device.name)
    for key, given in (("config_interfaces", device.config_interfaces), ("vrfs", device.vrfs)):
        if given and device.config_file is None:
            message = f"{device.name} has no configuration of its own that this could be about"
            report.add((*path, key), message, "write its config, or leave this out", key=True)
    owners: dict[str, str] = {}
    for vrf, members in device.vrfs.items():
        if vrf in VRFS:
            report.add((*path, "vrfs", vrf), f"every device has the VRF {vrf}", key=True)
        for index, member in enumerate(members):
            owner = owners.setdefault(member, vrf)
            if owner != vrf:
                message = f"{member} is already in the VRF {owner}"
                report.add((*path, "vrfs", vrf, index), message)


def _links(form: TopologyForm, topology: Topology, report: Report) -> None:
    cidr = form.site.link_cidr
    if cidr is not None:
        shortest, longest = LINK_CIDR_LENGTHS
        size(("site", "link_cidr"), cidr, shortest, longest, "link_cidr", report)
    room = 2 ** (30 - (cidr.prefixlen if cidr else 14)) // 2
    used = max(len(topology.site.links), len(topology.site.devices))
    if used > room and (cidr is None or cidr.prefixlen <= LINK_CIDR_LENGTHS[1]):
        message = f"has room for {room} links of each kind; the site needs {used}"
        report.add(("site", "link_cidr"), message, "write a larger link_cidr")
    seen: set[frozenset[str]] = set()
    for index, link in enumerate(form.site.links or []):
        at: Path = ("site", "links", index, "devices")
        pair = frozenset(link.devices)
        if len(pair) == 1:
            report.add(at, f"links {link.devices[0]} to itself", "name two devices")
        elif pair in seen:
            names = " and ".join(link.devices)
            report.add(at, f"there already is a link between {names}", "keep one of them")
        seen.add(pair)


def _firewalls(form: TopologyForm, topology: Topology, report: Report) -> None:
    """A device is behind one firewall; each session of a firewall's is eBGP."""
    devices = {device.name: device for device in topology.site.devices}
    owners: dict[str, str] = {}
    for firewall in topology.site.firewalls:
        at: Path = ("site", "firewalls", firewall.name)
        entry = form.site.firewalls[firewall.name]
        linked = {uplink.device for uplink in firewall.inside}
        for index, name in enumerate(entry.devices):
            place = (*at, "devices", index)
            owner = owners.setdefault(name, firewall.name)
            if owner != firewall.name:
                message = f"{name} is already behind the firewall {owner}"
                report.add(place, message, "a device can have only one firewall")
            elif devices[name].host_interfaces is not None:
                message = f"{name} is a real device: a firewall behind one cannot be built yet"
                report.add(place, message)
            elif name not in linked:
                message = f"{name} has no link to the Region where a firewall could be"
                report.add(place, message, "add it to site.region_link.devices")
        asns = {devices[name].asn for name in entry.devices} | {topology.region.asn}
        if firewall.asn in asns:
            message = f"AS {firewall.asn} is also a neighbour's, but the sessions are eBGP"
            report.add((*at, "asn"), message, "give the firewall another ASN")
        if firewall.ruleset and (found := misplaced(firewall.ruleset)):
            report.add((*at, "ruleset"), *explain(found, str(entry.ruleset)))
        if entry.nat and entry.filter == "stateless":
            message = "a firewall that translates addresses must be stateful"
            report.add((*at, "nat"), message, "write filter: stateful, or leave nat out")
