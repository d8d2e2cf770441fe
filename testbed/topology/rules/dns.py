"""Rules of private hosted zones and resolvers."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from testbed.errors import Path
from testbed.topology.model import HostedZone, Record, Topology
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm
from testbed.topology.values import show

_NAME = r"[A-Za-z0-9_*](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?"
_ADDRESSES: dict[str, tuple[Callable[[str], object], str]] = {
    "A": (IPv4Address, "an IPv4 address"),
    "AAAA": (IPv6Address, "an IPv6 address"),
}
_FORMS = {
    "CNAME": (re.compile(_NAME), "a domain name"),
    "MX": (re.compile(rf"[0-9]{{1,5}} {_NAME}"), "a preference and a domain name"),
    "SRV": (
        re.compile(rf"[0-9]{{1,5}} [0-9]{{1,5}} [0-9]{{1,5}} {_NAME}"),
        "a priority, a weight, a port and a domain name",
    ),
    "TXT": (re.compile(r"[ !#-&(-\[\]-~]{1,255}"), "text without quotes and backslashes"),
}


def check(_: TopologyForm, topology: Topology, report: Report) -> None:
    """Check every record, and that a resolver has something to resolve for."""
    for zone in topology.hosted_zones.values():
        _zone(zone, report)


def _zone(zone: HostedZone, report: Report) -> None:
    types: dict[str, set[str]] = {}
    for index, record in enumerate(zone.records):
        at: Path = ("hosted_zones", zone.name, "records", index)
        seen = types.setdefault(record.name, set())
        if record.type in seen:
            message = f"{record.name} already has {record.type} records"
            report.add(at, message, "write all values into one record")
        elif seen and "CNAME" in {record.type, *seen}:
            message = (
                f"{record.name} has other records, but a CNAME record must be alone (RFC 1034)"
            )
            report.add(at, message)
        seen.add(record.type)
        _values(at, record, report)


def _values(path: Path, record: Record, report: Report) -> None:
    if record.type == "CNAME" and len(record.values) > 1:
        report.add((*path, "values"), "a CNAME record has one value (RFC 1034)")
    for index, value in enumerate(record.values):
        at = (*path, "values", index)
        if record.type in _ADDRESSES:
            kind, words = _ADDRESSES[record.type]
            try:
                kind(value)
            except AddressValueError:
                report.add(at, f"the value of {record.type} records is {words}, not {show(value)}")
            continue
        form, words = _FORMS[record.type]
        if not form.fullmatch(value):
            report.add(at, f"the value of {record.type} records is {words}, not {show(value)}")
