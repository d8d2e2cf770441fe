"""Rules of Outposts racks: form factor, uplinks, VIFs, ASNs, infrastructure subnets."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network

from testbed.errors import Path
from testbed.topology.derive.rack import domain_path, lag_of, vif_forms
from testbed.topology.form_factors import RACKS, FormFactor
from testbed.topology.model import MAX_OUTPOSTS, Lag, Rack, Topology, Vif
from testbed.topology.report import Report
from testbed.topology.rules.vpc import size
from testbed.topology.schema import OutpostForm, TopologyForm

# names that the customer's devices have for other interfaces
TAKEN_NAMES = {"region", "site", "wan", "isp", "lo", "sl", "lgw"}
ACE_FROM = 4  # compute racks (R1, R2a)


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check every Outpost."""
    if len(topology.outposts) > MAX_OUTPOSTS:
        message = f"has {len(topology.outposts)} Outposts; the testbed has room for {MAX_OUTPOSTS}"
        report.add(("outposts",), message)
    for name in topology.outposts:
        if name in TAKEN_NAMES:
            message = f"'{name}' cannot be an Outpost's name: the testbed uses it for itself"
            report.add(("outposts", name), message, f"did you mean 'op-{name[:29]}'?", key=True)
    for name, rack in topology.racks.items():
        path: Path = ("outposts", name)
        shape = RACKS[rack.form_factor]
        _compute_racks(path, rack, shape, report)
        _customer_devices(path, form.outposts[name], rack, shape, report)
        _uplinks(path, rack, shape, report)
        _infrastructure(path, rack, shape, report)
        _drained(path, rack, shape, report)
        _vif_places(path, form.outposts[name], rack, shape, report)
        for lag in rack.lags:
            _Lag(path, form.outposts[name], shape, lag, topology, report).check()
    _vif_overlaps(form, topology, report)


def _compute_racks(path: Path, rack: Rack, shape: FormFactor, report: Report) -> None:
    if rack.compute_racks in shape.compute_racks:
        return
    hint = None
    if rack.form_factor == "rack" and rack.compute_racks >= ACE_FROM:
        hint = f"from {ACE_FROM} compute racks on AWS requires form_factor: rack-with-ace"
    allowed = shape.compute_racks
    count = "1" if len(allowed) == 1 else f"{allowed[0]} to {allowed[-1]}"
    message = f"is {rack.compute_racks}, but {shape.title} has {count}"
    report.add((*path, "compute_racks"), f"{message} (AWS: {shape.source})", hint)


def _customer_devices(
    path: Path, form: OutpostForm, rack: Rack, shape: FormFactor, report: Report
) -> None:
    """Check how many customer devices the LAGs end in, and that they are shared out evenly."""
    given = form.devices
    if given is None:
        return
    at = (*path, "devices")
    allowed = " or ".join(str(number) for number in shape.customer_devices)
    lags = len(rack.lags)
    if len(given) > lags or lags % len(given):
        message = f"must have 2 or {lags} entries, one for each LAG or for each in turn"
        if lags == 2:
            message = "must have 2 entries, one for each Outpost networking device"
        report.add(at, f"{message}, has {len(given)}")
    elif len(set(given)) not in shape.customer_devices:
        message = f"names {len(set(given))} customer devices, but {shape.title} is connected to"
        report.add(at, f"{message} {allowed} (AWS: {shape.source})")
    for device in rack.devices if shape.lags_per_device > 1 else ():
        ends = [lag.customer_device for lag in rack.lags_of(device)]
        if len(set(ends)) < len(ends):
            message = f"networking device {device} has two LAGs to {ends[0]}, but needs one to"
            report.add(at, f"{message} each customer device (AWS: {shape.source})")
            break


def _uplinks(path: Path, rack: Rack, shape: FormFactor, report: Report) -> None:
    lag = rack.lags[0]
    at = (*path, "uplinks")
    if lag.speed_gbps not in shape.uplinks:
        speeds = ", ".join(f"{speed}G" for speed in shape.uplinks)
        message = f"{lag.speed_gbps}G uplinks: {shape.title} has {speeds}"
        report.add((*at, "speed"), f"{message} (AWS: {shape.source})")
        return
    counts = shape.uplinks[lag.speed_gbps]
    if lag.members not in counts:
        allowed = ", ".join(str(count) for count in counts)
        per = "LAG" if shape.lags_per_device > 1 else "device"
        message = f"{lag.members} uplinks of {lag.speed_gbps}G per {per}: AWS offers {allowed}"
        report.add((*at, "per_device"), f"{message} (AWS: {shape.source})")


def _infrastructure(path: Path, rack: Rack, shape: FormFactor, report: Report) -> None:
    at = (*path, "service_link", "infrastructure_cidr")
    several = (*path, "service_link", "infrastructure_cidrs")
    if report.has(several) and report.has(at):
        message = "infrastructure_cidrs has them all"
        report.add(at, message, "leave one of the two keys out", key=True)
        return
    cidrs, wanted = (
        rack.service_link.infrastructure_cidrs,
        shape.infrastructure_subnets(rack.compute_racks),
    )
    if len(cidrs) != wanted:
        place = several if report.has(several) else at
        message = f"has {len(cidrs)}, but {shape.title} of {rack.compute_racks} compute racks has"
        hint = "infrastructure_cidrs: one for each compute rack" if wanted > 1 else None
        report.add(place, f"{message} {wanted} (AWS: {shape.source})", hint)
        return
    length = shape.infrastructure_length
    for index, cidr in enumerate(cidrs):
        place = (*several, index) if report.has(several) else at
        if cidr.prefixlen != length:
            hint = None
            if cidr.prefixlen < length:
                hint = f"did you mean {cidr.network_address}/{length}?"
            source = "local-rack" if rack.form_factor == "rack" else shape.source
            message = f"{cidr}: {shape.infrastructure_title} (AWS: {source})"
            report.add(place, message, hint)
        else:
            size(place, cidr, 8, length, "an infrastructure subnet", report)


def _drained(path: Path, rack: Rack, shape: FormFactor, report: Report) -> None:
    for index, device in enumerate(rack.drained):
        at = (*path, "drained", index)
        if device not in rack.devices:
            message = f"is {device}, but {shape.title} has networking devices 1 to"
            report.add(at, f"{message} {len(rack.devices)}")
        elif device in rack.drained[:index]:
            report.add(at, f"device {device} is named twice", "keep one of them")


def _vif_places(
    path: Path, form: OutpostForm, rack: Rack, shape: FormFactor, report: Report
) -> None:
    """Check that each VIF of the file says on which LAG it is, and that each is on its own."""
    lags = {lag.number: lag for lag in rack.lags}
    for domain in (None, *(entry.name for entry in rack.domains)):
        seen: set[int] = set()
        for index, vif in enumerate(vif_forms(form, domain)):
            at = (*_vifs_path(path, domain), "vifs", index)
            number = lag_of(shape, vif)
            if number is None:
                message = "does not say its LAG: a networking device has"
                report.add(at, f"{message} {shape.lags_per_device}", f"write lag: 1 to {len(lags)}")
            elif number not in lags:
                key = "lag" if vif.lag is not None else "device"
                message = f"is {number}, but {shape.title} has 1 to {len(lags)}"
                report.add((*at, key), message)
            elif vif.device not in (None, lags[number].device):
                message = f"is {vif.device}, but LAG {number} is networking device"
                report.add((*at, "device"), f"{message} {lags[number].device}'s")
            elif number in seen:
                _twice(at, shape, domain, number, lags, report)
            seen.add(number or 0)


def _twice(
    path: Path,
    shape: FormFactor,
    domain: str | None,
    number: int,
    lags: dict[int, Lag],
    report: Report,
) -> None:
    what = "service link" if domain is None else "local gateway"
    own = "device" if shape.lags_per_device == 1 else "LAG"
    message = f"{own} {number} already has a {what} VIF"
    hint = f"a rack has one per {own} (AWS: one VIF per LAG)"
    if len(lags) == 2:
        hint += f"; is this one meant for {own} {3 - number}?"
    report.add((*path, own.lower()), message, hint)


def _vifs_path(path: Path, domain: str | None) -> Path:
    """Where the file has the VIFs of a routing domain, or of the service link (None)."""
    if domain is None:
        return (*path, "service_link")
    return domain_path(str(path[1]), domain)


def vif_path(path: Path, form: OutpostForm, shape: FormFactor, vif: Vif, lag: Lag) -> Path:
    """Where the file has a LAG's VIF; its service link or routing domain when it does not."""
    at = _vifs_path(path, vif.domain)
    for index, entry in enumerate(vif_forms(form, vif.domain)):
        if lag_of(shape, entry) == lag.number:
            return (*at, "vifs", index)
    return at


def place_of(shape: FormFactor, lag: Lag) -> str:
    """How a LAG is called in sentences."""
    return f"device {lag.device}" if shape.lags_per_device == 1 else f"LAG {lag.number}"


class _Lag:
    """The rules of one LAG with its VIFs."""

    def __init__(
        self,
        path: Path,
        form: OutpostForm,
        shape: FormFactor,
        lag: Lag,
        topology: Topology,
        report: Report,
    ) -> None:
        self.path = path
        self.form = form
        self.shape = shape
        self.lag = lag
        self.devices = {device.name: device for device in topology.site.devices}
        self.report = report

    def check(self) -> None:
        """Check addresses, ASNs and VLANs."""
        for vif in self.lag.vifs:
            path = vif_path(self.path, self.form, self.shape, vif, self.lag)
            self._addresses(path, vif)
            self._asns(path, vif)
        vlan = self.lag.service_link.vlan
        for vif in self.lag.local_gateways:
            if vif.vlan != vlan:
                continue
            path = vif_path(self.path, self.form, self.shape, vif, self.lag)
            message = (
                f"VLAN {vlan} is also the service link's on the LAG of"
                f" {place_of(self.shape, self.lag)}:"
                " the local gateway VIF and the service link VIF of a LAG need different VLANs"
                " (AWS: routing domains)"
            )
            at = (*path, "vlan")
            self.report.add(at, message, "give one of them another VLAN ID")
        self._repeated()

    def _repeated(self) -> None:
        """One VLAN of a LAG is one VIF's: its frames could not be told apart."""
        seen: dict[int, Vif] = {}
        for vif in self.lag.local_gateways:
            other = seen.setdefault(vif.vlan, vif)
            if other is not vif:
                path = vif_path(self.path, self.form, self.shape, vif, self.lag)
                message = (
                    f"VLAN {vif.vlan} is also that of routing domain {other.domain} on the LAG of"
                    f" {place_of(self.shape, self.lag)}: two domains may have one VLAN ID on"
                    " different LAGs only"
                )
                self.report.add((*path, "vlan"), message, "give one of them another VLAN ID")

    def _addresses(self, path: Path, vif: Vif) -> None:
        local, peer = vif.local_address, vif.peer_address
        ends = (("local_address", local), ("peer_address", peer))
        for key, address in sorted(ends, key=lambda end: not self.report.has((*path, end[0]))):
            if not _check_point_to_point((*path, key), address, self.shape, self.report):
                return
        if local.network != peer.network:
            message = f"{peer} and the local address {local} are not in the same subnet"
            self.report.add((*path, "peer_address"), message, f"use an address of {local.network}")
        elif local.ip == peer.ip:
            message = f"{peer.ip} is also the local address"
            hint = "leave one of them out; it is derived as the subnet's other address"
            self.report.add((*path, "peer_address"), message, hint)

    def _asns(self, path: Path, vif: Vif) -> None:
        kind = "service_link" if vif.domain is None else "local_gateway"
        words = kind.replace("_", " ")
        forms = vif_forms(self.form, vif.domain)
        given = next((v for v in forms if lag_of(self.shape, v) == self.lag.number), None)
        if given and given.local_bgp_asn not in (None, vif.local_bgp_asn):
            message = (
                f"is {given.local_bgp_asn}, but the {words}'s ASN is {vif.local_bgp_asn}:"
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
                f"AS {vif.local_bgp_asn} is the ASN of both the Outpost ({words}) and"
                f" {device.name}, but the session is eBGP: the two must differ (AWS: VIFs)"
            )
            places = (
                (*_vifs_path(self.path, vif.domain), "asn"),
                (*self.path, kind, "asn"),
                ("site", "devices", device.name, "asn"),
            )
            place = next((place for place in places if self.report.has(place)), None)
            at = place or (*path, "peer_bgp_asn")
            self.report.add(at, message, "give one of them another ASN")


def _check_point_to_point(
    path: Path, address: IPv4Interface, shape: FormFactor, report: Report
) -> bool:
    network = address.network
    allowed = shape.point_to_point
    if network.prefixlen not in allowed:
        words = " or ".join(f"/{length}" for length in allowed)
        source = "local-rack" if shape.name == "rack" else shape.source
        message = f"{address}: a VIF's point-to-point subnet is a {words} (AWS: {source})"
        hint = None
        if network.prefixlen < min(allowed):
            hint = f"did you mean {address.ip}/{min(allowed)}?"
        report.add(path, message, hint)
        return False
    if network.prefixlen < 31 and address.ip not in list(network.hosts()):
        first, *_, last = network.hosts()
        which = "network" if address.ip == network.network_address else "broadcast"
        message = f"{address.ip} is the {which} address of {network}"
        joined = "or" if network.prefixlen == 30 else "to"
        report.add(path, message, f"use {first} {joined} {last}")
        return False
    before = len(report.violations)
    size(path, network, 8, 31, "a point-to-point subnet", report)
    return len(report.violations) == before


def _vif_overlaps(form: TopologyForm, topology: Topology, report: Report) -> None:
    """VIFs on one LAG, in one VIF group or VRF of a device may not overlap (L3)."""
    seen: dict[tuple[str, ...], list[tuple[IPv4Network, str]]] = {}
    for name, rack in topology.racks.items():
        shape = RACKS[rack.form_factor]
        vrfs = {domain.name: domain.vrf for domain in rack.domains}
        for lag in rack.lags:
            for vif in lag.vifs:
                network = vif.local_address.network
                words = vif.title.replace("-", " ", 1)
                what = f"{name}'s {words} VIF on {place_of(shape, lag)}"
                place = vif_path(("outposts", name), form.outposts[name], shape, vif, lag)
                vrf = "sl" if vif.domain is None else vrfs[vif.domain]
                keys = (
                    ("lag", name, str(lag.number)),
                    ("group", name, vif.title),
                    ("vrf", lag.customer_device, vrf),
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
