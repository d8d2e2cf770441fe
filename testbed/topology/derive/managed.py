"""What AWS makes for a VPC by itself: requester-managed network interfaces; and Elastic IPs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from testbed.errors import Path
from testbed.topology.derive import security as derive_security
from testbed.topology.model import (
    Endpoint,
    NatGateway,
    NetworkInterface,
    Requester,
    Vpc,
)
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm, VpcForm

RESERVED_AT_START = 4
Wanted = IPv4Address | Literal["auto"]


def nat_gateways(name: str, form: VpcForm) -> tuple[NatGateway, ...]:
    """The VPC's NAT gateways."""
    return tuple(
        NatGateway(gateway, name, entry.subnet, f"{name}.{gateway}", entry.state)
        for gateway, entry in form.nat_gateways.items()
    )


def endpoints(region: str, name: str, form: VpcForm) -> tuple[Endpoint, ...]:
    """The VPC's endpoints, each with the names that lead to it in the VPC's DNS."""
    made = []
    for endpoint, entry in form.endpoints.items():
        names: tuple[str, ...] = ()
        if entry.type == "interface":
            service = f"{entry.service}.{region}"
            names = (f"vpce-{name}-{endpoint}.{service}.vpce.amazonaws.com",)
            if entry.private_dns:
                names += (f"{service}.amazonaws.com",)
        interfaces = tuple(f"{name}.{endpoint}.{subnet}" for subnet in entry.subnets)
        made.append(
            Endpoint(
                name=endpoint,
                vpc=name,
                service=entry.service,
                type=entry.type,
                route_tables=tuple(entry.route_tables) if entry.type == "gateway" else (),
                interfaces=interfaces if entry.type == "interface" else (),
                security_groups=tuple(entry.security_groups),
                dns_names=names,
            )
        )
    return tuple(made)


def managed_interfaces(
    form: TopologyForm,
    vpcs: Mapping[str, Vpc],
    interfaces: Mapping[str, NetworkInterface],
    report: Report,
) -> dict[str, NetworkInterface]:
    """The network interfaces of NAT gateways and interface endpoints, by name.

    Each has the last address of its subnet that is free, so that those of
    instances do not depend on them.
    """
    used: dict[tuple[str, str], set[IPv4Address]] = {}
    for interface in interfaces.values():
        used.setdefault((interface.vpc, interface.subnet), set()).update(interface.addresses)
    made: dict[str, NetworkInterface] = {}
    for vpc in vpcs.values():
        for path, name, subnet, address, requester in _wanted(form, vpc):
            taken = used.setdefault((vpc.name, subnet), set())
            cidr = next(entry.cidr for entry in vpc.subnets if entry.name == subnet)
            address = address or _last_free(cidr, taken)  # noqa: PLW2901 - the default
            if address is None:
                message = f"the subnet {subnet} ({cidr}) has no free address"
                report.add(path, message, "make the subnet larger", key=True)
                continue
            taken.add(address)
            made[name] = NetworkInterface(
                name=name,
                vpc=vpc.name,
                subnet=subnet,
                address=address,
                secondary_addresses=(),
                source_destination_check=requester.kind != "nat-gateway",
                instance=None,
                device_index=0,
                requester=requester,
                security_groups=_groups(form, vpc, requester),
            )
    return made


def _wanted(
    form: TopologyForm, vpc: Vpc
) -> Iterator[tuple[Path, str, str, IPv4Address | None, Requester]]:
    at: Path = ("vpcs", vpc.name)
    for gateway in vpc.nat_gateways:
        entry = form.vpcs[vpc.name].nat_gateways[gateway.name]
        path = (*at, "nat_gateways", gateway.name)
        requester = Requester("nat-gateway", gateway.name)
        if gateway.state == "available":
            yield path, gateway.interface, gateway.subnet, entry.address, requester
    for endpoint in vpc.endpoints:
        path = (*at, "endpoints", endpoint.name)
        subnets = form.vpcs[vpc.name].endpoints[endpoint.name].subnets
        requester = Requester("vpc-endpoint", endpoint.name)
        for interface, subnet in zip(endpoint.interfaces, subnets, strict=False):
            yield path, interface, subnet, None, requester


def _groups(form: TopologyForm, vpc: Vpc, requester: Requester) -> tuple[str, ...]:
    """An endpoint's interfaces have security groups, a NAT gateway's have none (V)."""
    if requester.kind == "nat-gateway":
        return ()
    endpoint = form.vpcs[vpc.name].endpoints[requester.name]
    return derive_security.groups_of(form, vpc.name, endpoint.security_groups)


def _last_free(cidr: IPv4Network, taken: set[IPv4Address]) -> IPv4Address | None:
    for number in range(cidr.num_addresses - 2, RESERVED_AT_START - 1, -1):
        address = cidr.network_address + number
        if address not in taken:
            return address
    return None


def with_elastic_ips(
    form: TopologyForm,
    cidr: IPv4Network,
    interfaces: Mapping[str, NetworkInterface],
    report: Report,
) -> dict[str, NetworkInterface]:
    """The interfaces with their Elastic IPs.

    NAT gateways count down from the end of `cidr`, all others up from its
    start, so that neither depends on the other.
    """
    used: set[IPv4Address] = set()
    hosts = range(1, max(1, cidr.num_addresses - 1))
    made: dict[str, NetworkInterface] = {}
    for name, interface in interfaces.items():
        nat = interface.requester is not None
        order: Iterable[int] = reversed(hosts) if nat else hosts
        pairs = []
        for path, private, wanted in _elastic(form, interface):
            free = (cidr.network_address + number for number in order)
            if wanted == "auto":
                public = next((address for address in free if address not in used), None)
            else:
                public = wanted
            if public is None:
                report.add(path, f"AddressLimitExceeded: {cidr} has no free address")
                continue
            used.add(public)
            pairs.append((private, public))
        made[name] = replace(interface, elastic_ips=tuple(pairs)) if pairs else interface
    return made


def _elastic(
    form: TopologyForm, interface: NetworkInterface
) -> Iterator[tuple[Path, IPv4Address, Wanted]]:
    """Where the file wants an Elastic IP for one of the interface's addresses, and which."""
    if interface.requester is not None:
        if interface.requester.kind == "nat-gateway":
            gateway = form.vpcs[interface.vpc].nat_gateways[interface.requester.name]
            path: Path = ("vpcs", interface.vpc, "nat_gateways", interface.requester.name)
            yield (*path, "elastic_ip"), interface.address, gateway.elastic_ip
        return
    group = "network_interfaces" if interface.device_index else "instances"
    entry = form.network_interfaces[interface.name] if interface.device_index else None
    given = entry or form.instances[interface.name]
    path = (group, interface.name)
    if given.elastic_ip is not None:
        yield (*path, "elastic_ip"), interface.address, given.elastic_ip
    for private, wanted in given.elastic_ips.items():
        yield (*path, "elastic_ips", str(private)), private, wanted
