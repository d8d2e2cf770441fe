"""Rules of BGP settings on customer devices: what both ends of a session have to agree on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from testbed.errors import Path
from testbed.topology.model import Device, Topology, Uplink
from testbed.topology.report import Report, choices
from testbed.topology.schema import TopologyForm

LEAST_HOLD_S = 3  # RFC 4271, section 4.2
BETWEEN_ASES = ("as_override", "remove_private_as")


@dataclass(frozen=True)
class _Session:
    """A session of a device's, as its settings know it.

    `other` says whose the other end is: of another device with settings of its own, AWS's, or
    that of a router that takes over what both have to agree on. `bfd` is whether AWS's has BFD,
    `key` is AWS's MD5 key, `where` the key of the file that gives it them.
    """

    neighbor: str
    which: str
    asn: int
    other: Literal["device", "aws", "follows"] = "follows"
    bfd: bool = True
    key: str | None = None
    where: tuple[str, str] = ("", "")

    @property
    def name(self) -> str:
        return f"{self.neighbor}/{self.which}"


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check the BGP settings of every device."""
    for device in topology.site.devices:
        path: Path = ("site", "devices", device.name, "bgp")
        entry = (form.site.devices or {}).get(device.name)
        if entry is None or "bgp" not in entry.model_fields_set:
            continue
        if device.config_file or device.host_interfaces:
            key = "config" if device.config_file else "host_interfaces"
            message = f"has no effect on {device.name}, whose configuration is its own ({key})"
            hint = f"leave out bgp or {key}"
            report.add(path, message, hint, key=True)
            continue
        _check_device(topology, device, path, report)


def _check_device(topology: Topology, device: Device, path: Path, report: Report) -> None:
    sessions = list(_sessions(topology, device))
    names = {session.neighbor: "" for session in sessions}
    names |= {session.name: "" for session in sessions}
    for name in device.bgp.sessions:
        if name not in names:
            message = f"{device.name} has no session '{name}'"
            hint = choices(name, names, "its sessions")
            report.add((*path, "sessions", name), message, hint, key=True)
    for session in sessions:
        _timers(device, session, path, report)
        _agreement(topology, device, session, path, report)
        for key in BETWEEN_ASES:
            at = _said(device, session, path, key)
            if session.asn == device.asn and at[:-1] != path:
                message = f"the session {session.name} is inside AS {device.asn}, so that {key}"
                report.add(at, f"{message} has no effect", "leave it out", key=True)


def _said(device: Device, session: _Session, path: Path, key: str) -> Path:
    """The place of the setting that holds for a session; that of all sessions by default."""
    for name in (session.name, session.neighbor):
        entry = device.bgp.sessions.get(name)
        if entry is not None and getattr(entry, key) is not None:
            return (*path, "sessions", name, key)
    return (*path, key)


def _timers(device: Device, session: _Session, path: Path, report: Report) -> None:
    settings = device.bgp.of(session.neighbor, session.which)
    hold, keepalive = settings.hold_time, settings.keepalive_time
    if hold is not None and 0 < hold < LEAST_HOLD_S:
        message = f"is {hold}; a hold time is 0 or at least {LEAST_HOLD_S} s (RFC 4271)"
        report.add(_said(device, session, path, "hold_time"), message)
    elif keepalive is not None and hold != 0 and 3 * keepalive > (hold or 90):
        message = f"is {keepalive}; it is at most a third of the hold time, {hold or 90} s"
        at = _said(device, session, path, "keepalive_time")
        report.add(at, f"{message} (RFC 4271)", "write a longer hold_time, too")


def _agreement(
    topology: Topology, device: Device, session: _Session, path: Path, report: Report
) -> None:
    """A key, GTSM or BFD on one end alone keeps the session, or BFD, down."""
    settings = device.bgp.of(session.neighbor, session.which)
    if session.other == "device":
        _agree_with_device(topology, device, session, path, report)
    elif session.other == "aws":
        what, remedy = session.where
        if settings.password and settings.password != session.key:
            message = f"AWS does not know this key of the session {session.name}"
            hint = f"write it as {what}" if what else "leave it out; the order form has none"
            hint += ", or try it as the fault bgp-md5"
            report.add(_said(device, session, path, "password"), message, hint)
        if settings.ttl_security:
            message = f"AWS's end of {session.name} is not known to send with TTL 255"
            hint = "leave it to sessions with devices of your own"
            report.add(_said(device, session, path, "ttl_security"), message, hint)
        if settings.bfd and not session.bfd:
            message = f"the other end of {session.name} has no BFD"
            report.add(_said(device, session, path, "bfd"), message, f"write {remedy}: true")


def _agree_with_device(
    topology: Topology, device: Device, session: _Session, path: Path, report: Report
) -> None:
    other = next(d for d in topology.site.devices if d.name == session.neighbor)
    if other.config_file or other.host_interfaces:
        return
    own = device.bgp.of(session.neighbor, session.which)
    far = other.bgp.of(device.name, session.which)
    for key, differ in (
        ("password", own.password and own.password != far.password),
        ("ttl_security", own.ttl_security and not far.ttl_security),
        ("bfd", own.bfd and not far.bfd),
    ):
        if differ:
            message = f"{other.name} does not have the same on its end of {session.name}"
            hint = f"write it in site.devices.{other.name}.bgp.sessions.{device.name}, too"
            report.add(_said(device, session, path, key), message, hint)


def _sessions(topology: Topology, device: Device) -> Iterator[_Session]:
    """The sessions of a device, as `testbed.lower.site` makes them."""
    yield from _with_outposts(topology, device)
    yield from _of_direct_connect(topology, device)
    site = topology.site
    asns = {each.name: each.asn for each in site.devices}
    for link in site.links:
        if device.name in link.devices:
            other = link.devices[link.devices[0] == device.name]
            yield _Session(other, link.vrf, asns[other], "device")
    for firewall in site.firewalls:
        if _has(firewall.inside, device):
            yield _Session(firewall.name, "sl", firewall.asn)
    if _has(site.region_uplinks, device):
        yield _Session("region", "sl", topology.region.asn)
    if site.wan and _has(site.wan.uplinks, device):
        yield _Session("wan", "lgw", site.wan.asn)


def _has(uplinks: Iterable[Uplink], device: Device) -> bool:
    return any(uplink.device == device.name for uplink in uplinks)


def _with_outposts(topology: Topology, device: Device) -> Iterator[_Session]:
    for outpost in topology.racks.values():
        where = ("", f"outposts.{outpost.name}.uplinks.bfd")
        for lag in (lag for lag in outpost.lags if lag.customer_device == device.name):
            name = f"{outpost.name}.ond{lag.device}"
            for vif in lag.vifs:
                yield _Session(name, vif.title, vif.local_bgp_asn, "aws", lag.bfd, where=where)


def _of_direct_connect(topology: Topology, device: Device) -> Iterator[_Session]:
    for connection in topology.site.direct_connects:
        for vif in connection.virtual_interfaces if connection.device == device.name else ():
            at = f"site.direct_connect.{connection.name}.{vif.kind}_vif"
            where = (f"{at}.auth_key", f"{at}.bfd")
            name, asn = connection.name, vif.amazon_asn
            yield _Session(name, vif.kind, asn, "aws", vif.bfd, vif.auth_key, where)
