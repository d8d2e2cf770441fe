"""What AWS makes for a VPC by itself: requester-managed network interfaces; and Elastic IPs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from testbed.errors import Path
from testbed.topology.derive import security as derive_security
from testbed.topology.derive.addresses import address_kind, free_addresses, hosts
from testbed.topology.derive.allocations import Allocated, resolved
from testbed.topology.model import (
    Endpoint,
    NatGateway,
    NetworkInterface,
    Requester,
    Vpc,
)
from testbed.topology.numbers import Numbers
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm, VpcForm

RESERVED_AT_START = 4
# Of services whose hosts are not called like them (AWS: ECS interface endpoints).
PRIVATE_NAMES = {"ecs-agent": "ecs-a", "ecs-telemetry": "ecs-t"}
Wanted = IPv4Address | str  # auto, or the name of an allocated one


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
                host = PRIVATE_NAMES.get(entry.service, entry.service)
                names += (f"{host}.{region}.amazonaws.com",)
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
    numbers: Numbers,
) -> dict[str, NetworkInterface]:
    """Return the network interfaces of NAT gateways and interface endpoints, by name.

    Each has the last address of its subnet that is free, so that those of
    instances do not depend on them.
    """
    used: dict[tuple[str, str], set[IPv4Address]] = {}
    for interface in interfaces.values():
        used.setdefault((interface.vpc, interface.subnet), set()).update(interface.addresses)
    made: dict[str, NetworkInterface] = {}
    for vpc in vpcs.values():
        wanted = list(_wanted(form, vpc))
        free: dict[str, IPv4Address] = {}
        for subnet in vpc.subnets:
            here = [each for each in wanted if each.subnet == subnet.name]
            nameless = [each.name for each in here if each.address is None]
            given = {each.address for each in here if each.address}
            given |= used.get((vpc.name, subnet.name), set())
            backwards = range(subnet.cidr.num_addresses - 2, RESERVED_AT_START - 1, -1)
            kind = address_kind(vpc.name, subnet.name)
            free |= free_addresses(numbers, kind, subnet.cidr, nameless, backwards, given)
        for each in wanted:
            address = each.address or free.get(each.name)
            if address is None:
                cidr = next(entry.cidr for entry in vpc.subnets if entry.name == each.subnet)
                message = f"the subnet {each.subnet} ({cidr}) has no free address"
                report.add(each.path, message, "make the subnet larger", key=True)
                continue
            made[each.name] = NetworkInterface(
                name=each.name,
                vpc=vpc.name,
                subnet=each.subnet,
                address=address,
                secondary_addresses=(),
                source_destination_check=each.requester.kind != "nat-gateway",
                instance=None,
                device_index=0,
                requester=each.requester,
                security_groups=_groups(form, vpc, each.requester),
            )
    return made


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A network interface that AWS makes, with the address that the file gives it."""

    path: Path
    name: str
    subnet: str
    address: IPv4Address | None
    requester: Requester


def _wanted(form: TopologyForm, vpc: Vpc) -> Iterator[_Wanted]:
    at: Path = ("vpcs", vpc.name)
    for gateway in vpc.nat_gateways:
        entry = form.vpcs[vpc.name].nat_gateways[gateway.name]
        path = (*at, "nat_gateways", gateway.name)
        requester = Requester("nat-gateway", gateway.name)
        if gateway.state == "available":
            yield _Wanted(path, gateway.interface, gateway.subnet, entry.address, requester)
    for endpoint in vpc.endpoints:
        path = (*at, "endpoints", endpoint.name)
        subnets = form.vpcs[vpc.name].endpoints[endpoint.name].subnets
        requester = Requester("vpc-endpoint", endpoint.name)
        for interface, subnet in zip(endpoint.interfaces, subnets, strict=False):
            yield _Wanted(path, interface, subnet, None, requester)


def _groups(form: TopologyForm, vpc: Vpc, requester: Requester) -> tuple[str, ...]:
    """An endpoint's interfaces have security groups, a NAT gateway's have none (V)."""
    if requester.kind == "nat-gateway":
        return ()
    endpoint = form.vpcs[vpc.name].endpoints[requester.name]
    return derive_security.groups_of(form, vpc.name, endpoint.security_groups)


def with_elastic_ips(
    form: TopologyForm,
    cidr: IPv4Network,
    interfaces: Mapping[str, NetworkInterface],
    allocated: Allocated,
    report: Report,
    numbers: Numbers,
) -> dict[str, NetworkInterface]:
    """Return the interfaces with their Elastic IPs, of which some are `allocated` by name.

    NAT gateways count down from the end of `cidr`, all others up from its
    start, so that neither depends on the other.
    """
    wanted = [
        _ElasticIp(path, interface, private, public)
        for interface in interfaces.values()
        for path, private, named in _elastic(form, interface)
        if (public := resolved(named, allocated, owned=False)) is not None
    ]
    given = [each.wanted for each in wanted if isinstance(each.wanted, IPv4Address)]
    given += [each.address for each in allocated.values()]
    upwards = hosts(cidr, 1)
    found: dict[str, IPv4Address] = {}
    for managed, offsets in ((False, upwards), (True, upwards[::-1])):
        names = [
            each.name
            for each in wanted
            if each.wanted == "auto" and (each.interface.requester is not None) == managed
        ]
        found |= free_addresses(numbers, "elastic-ip", cidr, names, offsets, given)
    pairs: dict[str, list[tuple[IPv4Address, IPv4Address]]] = {}
    for each in wanted:
        public = each.wanted
        if not isinstance(public, IPv4Address):
            public = found.get(each.name)
        if public is None:
            report.add(each.path, f"AddressLimitExceeded: {cidr} has no free address")
        else:
            pairs.setdefault(each.interface.name, []).append((each.private, public))
    return {
        name: replace(interface, elastic_ips=tuple(pairs[name])) if name in pairs else interface
        for name, interface in interfaces.items()
    }


@dataclass(frozen=True, slots=True)
class _ElasticIp:
    """An Elastic IP that the file wants for a private address of an interface."""

    path: Path
    interface: NetworkInterface
    private: IPv4Address
    wanted: Wanted

    @property
    def name(self) -> str:
        """What it is numbered by: where the file asks for it."""
        return "/".join(map(str, self.path))


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
