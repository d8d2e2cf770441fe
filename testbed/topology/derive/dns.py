"""Private hosted zones and DHCP option sets."""

from __future__ import annotations

from ipaddress import IPv4Address

from testbed.topology.model import DhcpOptions, HostedZone, Record, Region
from testbed.topology.schema import DhcpOptionsForm, TopologyForm


def derive_zones(form: TopologyForm) -> dict[str, HostedZone]:
    """The private hosted zones, with complete names."""
    zones: dict[str, HostedZone] = {}
    for domain, zone in form.hosted_zones.items():
        records = tuple(
            Record(
                name=f"{record.name}.{domain}" if record.name else domain,
                type=record.type,
                ttl_s=record.ttl,
                values=tuple(record.values),
            )
            for record in zone.records
        )
        zones[domain] = HostedZone(domain, tuple(zone.vpcs), records)
    return zones


def derive_dhcp(form: DhcpOptionsForm, region: Region) -> DhcpOptions:
    """The DHCP option set with the Region's domain where it names none."""
    servers = tuple(
        server if isinstance(server, IPv4Address) else None for server in form.domain_name_servers
    )
    return DhcpOptions(form.domain_name or region.internal_domain, servers)
