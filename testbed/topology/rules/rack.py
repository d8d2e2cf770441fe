"""Rules of Outposts racks: uplinks, VIFs, ASNs, service link and local gateway."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network

from testbed.errors import Path
from testbed.topology.derive.rack import VifPurpose, vifs
from testbed.topology.model import MAX_OUTPOSTS, Lag, Outpost, Topology, Vif
from testbed.topology.report import Report
from testbed.topology.rules.vpc import size
from testbed.topology.schema import OutpostForm, TopologyForm

UPLINKS = {1: (1, 2, 4, 6, 8), 10: (1, 2, 4, 8, 12, 16), 40: (1, 2, 4), 100: (1, 2, 4)}  # R1, R2
INFRASTRUCTURE_LENGTH = 26  # R1, R2; first generation, one compute rack
POINT_TO_POINT = (30, 31)  # R1, R2
KINDS: dict[VifPurpose, str] = {"service_link": "service link", "local_gateway": "local gateway"}
# names that the customer's devices have for other interfaces
TAKEN_NAMES = {"region", "site", "wan", "lo", "sl", "lgw"}


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check every Outpost."""
    if len(topology.outposts) > MAX_OUTPOSTS:
        message = f"has {len(topology.outposts)} Outposts; the testbed has room for {MAX_OUTPOSTS}"
        report.add(("outposts",), message)
    for name, outpost in topology.outposts.items():
        path: Path = ("outposts", name)
        if name in TAKEN_NAMES:
            message = f"'{name}' cannot be an Outpost's name: the testbed uses it for itself"
            report.add(path, message, f"did you mean 'op-{name[:29]}'?", key=True)
        _uplinks(path, outpost, report)
        _infrastructure(path, outpost, report)
        for lag in outpost.lags:
            _Lag(path, form.outposts[name], outpost, lag, topology, report).check()
    _vif_overlaps(form, topology, report)


def _uplinks(path: Path, outpost: Outpost, report: Report) -> None:
    lag = outpost.lags[0]
    counts = UPLINKS[lag.speed_gbps]
    if lag.members not in counts:
        allowed = ", ".join(str(count) for count in counts)
        message = (
            f"{lag.members} uplinks of {lag.speed_gbps}G per device: AWS offers {allowed}"
            " (AWS: requirements checklist)"
        )
        report.add((*path, "uplinks", "per_device"), message)


def _infrastructure(path: Path, outpost: Outpost, report: Report) -> None:
    at = (*path, "service_link", "infrastructure_cidr")
    cidr = outpost.service_link.infrastructure_cidr
    if cidr.prefixlen != INFRASTRUCTURE_LENGTH:
        message = f"{cidr}: a rack's infrastructure subnet is a /26, announced as two /27s"
        hint = f"did you mean {cidr.network_address}/26?" if cidr.prefixlen < 26 else None
        report.add(at, f"{message} (AWS: local-rack)", hint)
    else:
        size(at, cidr, 8, INFRASTRUCTURE_LENGTH, "an infrastructure subnet", report)


def vif_path(path: Path, form: OutpostForm, kind: VifPurpose, device: int) -> Path:
    """Where the file has a LAG's VIF; its service link or local gateway when it does not."""
    for index, vif in enumerate(vifs(form, kind)):
        if vif.device == device:
            return (*path, kind, "vifs", index)
    return (*path, kind)


class _Lag:
    """The rules of one LAG with its two VIFs."""

    def __init__(
        self,
        path: Path,
        form: OutpostForm,
        outpost: Outpost,
        lag: Lag,
        topology: Topology,
        report: Report,
    ) -> None:
        self.path = path
        self.form = form
        self.outpost = outpost
        self.lag = lag
        self.devices = {device.name: device for device in topology.site.devices}
        self.report = report

    def check(self) -> None:
        for kind in KINDS:
            vif = self.lag.service_link if kind == "service_link" else self.lag.local_gateway
            path = vif_path(self.path, self.form, kind, self.lag.device)
            self._twice(kind)
            self._addresses(path, vif)
            self._asns(kind, path, vif)
        if self.lag.service_link.vlan == self.lag.local_gateway.vlan:
            path = vif_path(self.path, self.form, "local_gateway", self.lag.device)
            vlan = self.lag.local_gateway.vlan
            message = (
                f"VLAN {vlan} is also the service link's on the LAG of device {self.lag.device}:"
                " the local gateway VIF and the service link VIF of a LAG need different VLANs"
                " (AWS: routing domains)"
            )
            self.report.add((*path, "vlan"), message, "give one of them another VLAN ID")

    def _twice(self, kind: VifPurpose) -> None:
        found = [i for i, vif in enumerate(vifs(self.form, kind)) if vif.device == self.lag.device]
        for index in found[1:]:
            message = f"device {self.lag.device} already has a {KINDS[kind]} VIF"
            hint = "a rack has one per device (AWS: one VIF per LAG); is this one meant for device "
            place = (*self.path, kind, "vifs", index, "device")
            self.report.add(place, message, f"{hint}{3 - self.lag.device}?")

    def _addresses(self, path: Path, vif: Vif) -> None:
        local, peer = vif.local_address, vif.peer_address
        for key, address in (("local_address", local), ("peer_address", peer)):
            if not _check_point_to_point((*path, key), address, self.report):
                return
        if local.network != peer.network:
            message = f"{peer} and the local address {local} are not in the same subnet"
            self.report.add((*path, "peer_address"), message, f"use an address of {local.network}")
        elif local.ip == peer.ip:
            message = f"{peer.ip} is also the local address"
            hint = "leave one of them out; it is derived as the subnet's other address"
            self.report.add((*path, "peer_address"), message, hint)

    def _asns(self, kind: VifPurpose, path: Path, vif: Vif) -> None:
        given = next((v for v in vifs(self.form, kind) if v.device == self.lag.device), None)
        if given and given.local_bgp_asn not in (None, vif.local_bgp_asn):
            message = (
                f"is {given.local_bgp_asn}, but the {KINDS[kind]}'s ASN is {vif.local_bgp_asn}:"
                " a VIF's local ASN must be that of its group (AWS: routing domains)"
            )
            self.report.add((*path, "local_bgp_asn"), message, "leave it out")
        device = self.devices.get(self.lag.customer_device)
        if device is None:
            return
        if device.config is None and vif.peer_bgp_asn != device.asn:
            message = f"is {vif.peer_bgp_asn}, but the ASN of {device.name} is {device.asn}"
            hint = f"leave it out, or set site.devices.{device.name}.asn"
            self.report.add((*path, "peer_bgp_asn"), message, hint)
        if vif.local_bgp_asn == vif.peer_bgp_asn:
            message = (
                f"AS {vif.local_bgp_asn} is the ASN of both the Outpost ({KINDS[kind]}) and"
                f" {device.name}, but the session is eBGP: the two must differ (AWS: VIFs)"
            )
            place = next(
                (
                    place
                    for place in (
                        (*self.path, kind, "asn"),
                        ("site", "devices", device.name, "asn"),
                    )
                    if self.report.has(place)
                ),
                (*path, "peer_bgp_asn"),
            )
            self.report.add(place, message, "give one of them another ASN")


def _check_point_to_point(path: Path, address: IPv4Interface, report: Report) -> bool:
    network = address.network
    if network.prefixlen not in POINT_TO_POINT:
        message = f"{address}: a VIF's point-to-point subnet is a /30 or /31 (AWS: local-rack)"
        hint = f"did you mean {address.ip}/30?" if network.prefixlen < 30 else None
        report.add(path, message, hint)
        return False
    if network.prefixlen == 30 and address.ip not in list(network.hosts()):
        first, second = network.hosts()
        which = "network" if address.ip == network.network_address else "broadcast"
        message = f"{address.ip} is the {which} address of {network}"
        report.add(path, message, f"use {first} or {second}")
        return False
    before = len(report.violations)
    size(path, network, 8, 31, "a point-to-point subnet", report)
    return len(report.violations) == before


def _vif_overlaps(form: TopologyForm, topology: Topology, report: Report) -> None:
    """VIFs on one LAG, in one VIF group or VRF of a device may not overlap (L3)."""
    seen: dict[tuple[str, ...], list[tuple[IPv4Network, str]]] = {}
    for name, outpost in topology.outposts.items():
        for lag in outpost.lags:
            for kind, words in KINDS.items():
                vif = lag.service_link if kind == "service_link" else lag.local_gateway
                network = vif.local_address.network
                what = f"{name}'s {words} VIF on device {lag.device}"
                place = vif_path(("outposts", name), form.outposts[name], kind, lag.device)
                keys = (
                    ("lag", name, str(lag.device)),
                    ("group", name, kind),
                    ("vrf", lag.customer_device, kind),
                )
                for key in keys:
                    others = seen.setdefault(key, [])
                    other = next((other for net, other in others if net.overlaps(network)), None)
                    others.append((network, what))
                    if other:
                        message = f"{network} overlaps {other} (AWS: routing domains)"
                        hint = "give every VIF its own subnet"
                        report.add((*place, "local_address"), message, hint)
                        break
