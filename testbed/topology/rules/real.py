"""Rules of host interfaces: each used once, and every link of a real device has its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from testbed.errors import Path
from testbed.topology.model import Device, HostInterfaces, Topology
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm

Wanted = dict[tuple[str, ...], int]  # where in `host_interfaces`, and how many are to be there


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Check what real devices are cabled to, and the real ports of segments."""
    seen: dict[str, str] = {}
    real = {device.name for device in topology.site.devices if device.host_interfaces}
    for index, name in enumerate(form.site.internet.devices if form.site.internet else ()):
        if name in real:
            message = f"{name} is a real device: internet access of one cannot be built yet"
            report.add(("site", "internet", "devices", index), message, "name an emulated device")
    for device in topology.site.devices:
        ports = device.host_interfaces
        if ports is None:
            continue
        path: Path = ("site", "devices", device.name, "host_interfaces")
        _device(topology, device, ports, path, report)
        for where, names in _given(ports):
            for index, name in enumerate(names):
                at = (*path, *where, index) if where[0] in {"uplinks", "links"} else (*path, *where)
                _once(at, name, device.name, seen, report)
    for segment in topology.site.segments:
        for index, name in enumerate(segment.host_interfaces):
            at = ("site", "segments", segment.name, "host_interfaces", index)
            _once(at, name, f"segment {segment.name}", seen, report)
    if seen and topology.time == "virtual":
        message = "host interfaces need real time"
        report.add(("time",), message, "leave the key out, or emulate the devices")


def _once(at: Path, name: str, owner: str, seen: dict[str, str], report: Report) -> None:
    if name in seen:
        message = f"the host interface {name} is already used by {seen[name]}"
        report.add(at, message, "a host interface is the end of one cable only")
    seen.setdefault(name, owner)


def _given(ports: HostInterfaces) -> Iterator[tuple[tuple[str, ...], Sequence[str]]]:
    for name, several in ports.uplinks.items():
        yield ("uplinks", name), several
    for name, several in ports.links.items():
        yield ("links", name), several
    for name, one in ports.segments.items():
        yield ("segments", name), (one,)
    for key, single in (("region", ports.region), ("wan", ports.wan)):
        if single is not None:
            yield (key,), (single,)


def _wanted(topology: Topology, device: Device) -> Wanted:
    site = topology.site
    wanted: Wanted = {}
    for outpost in topology.racks.values():
        count = sum(lag.members for lag in outpost.lags if lag.customer_device == device.name)
        if count:
            wanted["uplinks", outpost.name] = count
    real = {other.name for other in site.devices if other.host_interfaces}
    for link in site.links:
        if device.name in link.devices:
            other = next(name for name in link.devices if name != device.name)
            if other not in real:
                # one for each VRF
                wanted["links", other] = wanted.get(("links", other), 0) + 1
    for segment in site.segments:
        if device.name in {name for name, _ in segment.routers}:
            wanted["segments", segment.name] = 1
    uplinks = (("region", site.region_uplinks), ("wan", site.wan.uplinks if site.wan else ()))
    for key, several in uplinks:
        if device.name in {uplink.device for uplink in several}:
            wanted[key,] = 1
    return wanted


def _device(
    topology: Topology, device: Device, ports: HostInterfaces, path: Path, report: Report
) -> None:
    if device.config is not None:
        at = ("site", "devices", device.name, "config")
        report.add(at, "a real device has its own configuration", "leave it out", key=True)
    given = {where: len(names) for where, names in _given(ports)}
    wanted = _wanted(topology, device)
    for where, count in wanted.items():
        words = " ".join(where)
        if where not in given:
            which = "which host interfaces" if count > 1 else "which host interface"
            message = f"does not say {which} its {words} {'are' if count > 1 else 'is'} cabled to"
            report.add(path, message, _remedy(where, count), key=True)
        elif given[where] != count:
            message = f"names {given[where]} host interfaces for {count} cables"
            report.add((*path, *where), message, key=True)
    for where in given.keys() - wanted.keys():
        message = f"{device.name} has no cable to it"
        report.add((*path, *where), message, "leave it out", key=True)


def _remedy(where: tuple[str, ...], count: int) -> str:
    names = ", ".join(f"INTERFACE{number}" for number in range(1, count + 1))
    value = f"[{names}]" if where[0] in {"uplinks", "links"} else "INTERFACE"
    text = f"{where[-1]}: {value}"
    if len(where) > 1:
        text = f"{where[0]}: {{{text}}}"
    avoid = {
        "region": ", or list the other devices in site.region_link.devices",
        "wan": ", or list the other devices in site.wan.devices",
        "links": ", or write site.links without it",
    }
    return f"write {text}{avoid.get(where[0], '')}"
