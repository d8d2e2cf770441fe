"""Names in a topology file that refer to other objects in it.

A name that nothing has is reported with the one that was probably meant. A
name that something has which is itself in error is not reported again; the
referring object is left out of what is checked next.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network

from testbed.errors import Path
from testbed.topology.model import Target
from testbed.topology.naming import known_name, layer2_nodes, segments_of
from testbed.topology.report import Report, choices
from testbed.topology.schema import (
    DirectConnectForm,
    HostedZoneForm,
    InstanceForm,
    NetworkInterfaceForm,
    OutpostForm,
    RouteForm,
    RouteTableAndVifGroupForm,
    SiteForm,
    SubnetForm,
    TopologyForm,
    TransitGatewayForm,
    VpcForm,
    VpcPeeringConnectionForm,
)
from testbed.topology.values import show

DEFAULT_DEVICES = ("cnd1", "cnd2")
MAIN = "main"  # the main route table, which every VPC has
GATEWAY_SERVICES = ("s3", "dynamodb")  # that have gateway endpoints (W)


def aws_prefix_lists(region: str) -> list[str]:
    """The names of the AWS-managed prefix lists that there are."""
    return [f"com.amazonaws.{region}.{service}" for service in GATEWAY_SERVICES]


def zones(form: TopologyForm) -> list[str]:
    """The Region's zones, by default the name followed by a, b and c."""
    name = form.region.name
    return form.region.zones or [f"{name[:31]}{letter}" for letter in "abc"]


def device_names(site: SiteForm) -> list[str]:
    """The site's devices, by default cnd1 and cnd2."""
    return list(site.devices if site.devices is not None else DEFAULT_DEVICES)


def interface_of(target: str) -> str | None:
    """The network interface in a local gateway route's target; None for the VIF group.

    An instance's name is that of its primary interface.
    """
    name, _, _ = target.rpartition(".")
    return name or None


def security_groups(vpc: VpcForm) -> list[str]:
    """The VPC's security groups, `default` among them; none where the file declares none."""
    if vpc.security_groups is None:
        return []
    return list(dict.fromkeys(["default", *vpc.security_groups]))


def prefix_lists(form: TopologyForm) -> list[str]:
    """The prefix lists that routes and rules may name: the customer's, and AWS's own."""
    return [*form.region.prefix_lists, *aws_prefix_lists(form.region.name)]


def check(form: TopologyForm, report: Report) -> bool:
    """Report unknown names; True when something had to be left out and `form` is stale."""
    before = len(report.spoiled)
    references = _References(form, report)
    for name, vpc in form.vpcs.items():
        references.vpc(("vpcs", name), vpc)
    for name, connection in form.region.vpc_peering_connections.items():
        references.peering(("region", "vpc_peering_connections", name), connection)
    for name, gateway in form.region.transit_gateways.items():
        references.transit_gateway(("region", "transit_gateways", name), gateway)
    for name, outpost in form.outposts.items():
        references.outpost(("outposts", name), outpost)
    for domain, zone in form.hosted_zones.items():
        references.zone(("hosted_zones", domain), zone)
    references.site(form.site)
    for name, instance in form.instances.items():
        references.subnet(("instances", name), instance)
        references.placement_group(("instances", name), instance.placement_group)
    for name, interface in form.network_interfaces.items():
        at: Path = ("network_interfaces", name)
        references.subnet(at, interface)
        if interface.instance is not None:
            references.instance(at, interface.instance)
    layer2_nodes(report, form)
    return len(report.spoiled) != before


class _References:
    def __init__(self, form: TopologyForm, report: Report) -> None:
        self.form = form
        self.report = report
        self.zones = zones(form)
        self.devices = device_names(form.site)
        self.interfaces = [*form.network_interfaces, *form.instances]

    def _name(
        self, path: Path, name: str, known: Collection[str], owner: Path, spoil: Path | None = None
    ) -> bool:
        """Check that `name` is one of `known`, the entries of the file's mapping `owner`."""
        return known_name(self.report, path, name, known, owner, spoil)

    def _names(self, path: Path, names: list[str], known: Collection[str], owner: Path) -> None:
        for index, name in enumerate(names):
            if name in names[:index]:
                self.report.add((*path, index), f"{show(name)} is named twice", "keep one of them")
        for index, name in enumerate(names):
            self._name((*path, index), name, known, owner)

    def _device(self, path: Path, name: str, spoil: Path | None = None) -> None:
        self._name(path, name, self.devices, ("site", "devices"), spoil)

    def _zone(self, path: Path, zone: str, spoil: Path) -> None:
        if zone in self.zones or self.report.touched(("region",)):
            return
        message = f"the Region {self.form.region.name} has no zone {show(zone)}"
        self.report.add(path, message, choices(zone, self.zones, "zones"))
        self.report.spoil(spoil)

    def vpc(self, path: Path, vpc: VpcForm) -> None:
        for name, subnet in vpc.subnets.items():
            self._subnet((*path, "subnets", name), subnet)
        for name, table in vpc.route_tables.items():
            at = (*path, "route_tables", name)
            self._names((*at, "subnets"), table.subnets, vpc.subnets, (*path, "subnets"))
            for index, route in enumerate(table.routes):
                self._prefix_list((*at, "routes", index), route)
                self._target((*at, "routes", index), route.target, path, vpc)
        for name, gateway in vpc.nat_gateways.items():
            at = (*path, "nat_gateways", name)
            self._name((*at, "subnet"), gateway.subnet, vpc.subnets, (*path, "subnets"), at)
        for name, endpoint in vpc.endpoints.items():
            at = (*path, "endpoints", name)
            tables = list(dict.fromkeys([*vpc.route_tables, MAIN]))
            self._names((*at, "subnets"), endpoint.subnets, vpc.subnets, (*path, "subnets"))
            owner = (*path, "route_tables")
            self._names((*at, "route_tables"), endpoint.route_tables, tables, owner)
            self._groups(at, endpoint.security_groups, str(path[1]))
        for name, group in (vpc.security_groups or {}).items():
            at = (*path, "security_groups", name)
            for index, ingress in enumerate(group.ingress or []):
                self._peer((*at, "ingress", index), "source", ingress.source, path, vpc)
            for index, egress in enumerate(group.egress or []):
                self._peer((*at, "egress", index), "destination", egress.destination, path, vpc)

    def _peer(
        self, path: Path, key: str, peer: IPv4Network | IPv6Network | str, owner: Path, vpc: VpcForm
    ) -> None:
        """Check what a security group's rule names; `path` is the rule's, `owner` the VPC's."""
        if isinstance(peer, IPv4Network | IPv6Network):
            return
        other, slash, group = peer.partition("/")
        if slash:
            if self._name((*path, key), other, self.form.vpcs, ("vpcs",), path):
                known = security_groups(self.form.vpcs[other])
                owner = ("vpcs", other, "security_groups")
                self._name((*path, key), group, known, owner, path)
            return
        groups, lists = security_groups(vpc), prefix_lists(self.form)
        if peer in groups and peer in lists:
            message = f"{show(peer)} is both a security group and a prefix list"
            self.report.add((*path, key), message, "give one of them another name")
            self.report.spoil(self.report.original(path))
        elif peer not in groups and peer not in lists:
            here: tuple[Path, ...] = ((*owner, "security_groups"), ("region", "prefix_lists"))
            if not any(self.report.has((*place, peer)) for place in here):
                message = f"there is no security group or prefix list named {show(peer)}"
                what = "security groups and prefix lists"
                self.report.add((*path, key), message, choices(peer, [*groups, *lists], what))
            self.report.spoil(self.report.original(path))

    def _prefix_list(self, path: Path, route: RouteForm) -> None:
        """Check the name of a route's destination, where it is a prefix list's."""
        if isinstance(route.destination, str):
            owner = ("region", "prefix_lists")
            known = prefix_lists(self.form)
            self._name((*path, "destination"), route.destination, known, owner, path)

    def _target(self, path: Path, target: Target, owner_path: Path, vpc: VpcForm) -> None:
        """Check the name in a route's target; `path` is the route's, `owner_path` the VPC's."""
        owners: dict[str, tuple[Collection[str], Path]] = {
            "local-gateway": (self.form.outposts, ("outposts",)),
            "instance": (self.form.instances, ("instances",)),
            "network-interface": (self.interfaces, ("network_interfaces",)),
            "nat-gateway": (vpc.nat_gateways, (*owner_path, "nat_gateways")),
            "transit-gateway": (
                self.form.region.transit_gateways,
                ("region", "transit_gateways"),
            ),
            "vpc-peering-connection": (
                self.form.region.vpc_peering_connections,
                ("region", "vpc_peering_connections"),
            ),
        }
        if target.kind in owners:
            known, owner = owners[target.kind]
            self._name((*path, "target"), target.name, known, owner, path)

    def peering(self, path: Path, connection: VpcPeeringConnectionForm) -> None:
        """Check the two VPCs of a peering connection."""
        for key, vpc in (("requester", connection.requester), ("accepter", connection.accepter)):
            self._name((*path, key), vpc, self.form.vpcs, ("vpcs",), path)

    def transit_gateway(self, path: Path, gateway: TransitGatewayForm) -> None:
        """Check the VPCs, subnets and attachments that a transit gateway names."""
        owner = (*path, "attachments")
        for name, attachment in gateway.attachments.items():
            at = (*owner, name)
            if self._name((*at, "vpc"), attachment.vpc, self.form.vpcs, ("vpcs",), at):
                known = self.form.vpcs[attachment.vpc].subnets
                subnets: Path = ("vpcs", attachment.vpc, "subnets")
                self._names((*at, "subnets"), attachment.subnets or [], known, subnets)
        connections = [
            name
            for name, entry in self.form.site.direct_connect.items()
            if entry.transit_vif and entry.transit_vif.transit_gateway == path[-1]
        ]
        known_attachments = [*gateway.attachments, *connections]
        for name, table in (gateway.route_tables or {}).items():
            at = (*path, "route_tables", name)
            self._names((*at, "associations"), table.associations, known_attachments, owner)
            self._names((*at, "propagations"), table.propagations, known_attachments, owner)
            for index, route in enumerate(table.routes):
                if route.attachment is not None:
                    place = (*at, "routes", index)
                    target = (*place, "attachment")
                    self._name(target, route.attachment, known_attachments, owner, place)

    def _subnet(self, path: Path, subnet: SubnetForm) -> None:
        if subnet.outpost is not None:
            outposts = self.form.outposts
            self._name((*path, "outpost"), subnet.outpost, outposts, ("outposts",), path)
        if subnet.zone is not None:
            self._zone((*path, "zone"), subnet.zone, path)
        if subnet.network_acl is not None:
            owner = (*path[:-2], "network_acls")
            known = ["default", *self.form.vpcs[str(path[1])].network_acls]
            self._name((*path, "network_acl"), subnet.network_acl, known, owner, path)

    def outpost(self, path: Path, outpost: OutpostForm) -> None:
        if outpost.zone is not None:
            self._zone((*path, "zone"), outpost.zone, (*path, "zone"))
        for index, device in enumerate(outpost.devices or []):
            self._device((*path, "devices", index), device, (*path, "devices"))
        for key, name in segments_of(outpost):
            self._name((*path, *key), name, self.form.site.segments, ("site", "segments"))
        link = outpost.service_link
        if link.vpc is not None:
            at = (*path, "service_link")
            if self._name((*at, "vpc"), link.vpc, self.form.vpcs, ("vpcs",), at) and link.subnet:
                known = self.form.vpcs[link.vpc].subnets
                owner: Path = ("vpcs", link.vpc, "subnets")
                self._name((*at, "subnet"), link.subnet, known, owner, at)
        if (gateway := outpost.local_gateway) is not None:
            self._domain((*path, "local_gateway"), gateway)
            for name, domain in gateway.routing_domains.items():
                self._domain((*path, "local_gateway", "routing_domains", name), domain)

    def _domain(self, path: Path, domain: RouteTableAndVifGroupForm) -> None:
        """Check the VPCs and targets of a local gateway's route table."""
        self._names((*path, "vpcs"), domain.vpcs or [], self.form.vpcs, ("vpcs",))
        for index, route in enumerate(domain.routes or []):
            if (name := interface_of(route.target)) is not None:
                instance = route.target.endswith(".instance")
                known: Collection[str] = self.form.instances if instance else self.interfaces
                owner: Path = ("instances",) if instance else ("network_interfaces",)
                at = (*path, "routes", index)
                self._name((*at, "target"), name, known, owner, at)

    def zone(self, path: Path, zone: HostedZoneForm) -> None:
        """Check the VPCs that a private hosted zone is associated with."""
        self._names((*path, "vpcs"), zone.vpcs, self.form.vpcs, ("vpcs",))

    def site(self, site: SiteForm) -> None:
        for index, link in enumerate(site.links or []):
            at: Path = ("site", "links", index)
            for end, device in enumerate(link.devices):
                self._device((*at, "devices", end), device, at)
        owner: Path = ("site", "devices")
        for name, firewall in site.firewalls.items():
            at = ("site", "firewalls", name)
            self._names((*at, "devices"), firewall.devices, self.devices, owner)
        for name, connection in site.direct_connect.items():
            self._direct_connect(("site", "direct_connect", name), connection)
        self._names(
            ("site", "region_link", "devices"), site.region_link.devices or [], self.devices, owner
        )
        if site.internet is not None:
            self._names(("site", "internet", "devices"), site.internet.devices, self.devices, owner)
        if site.wan is not None:
            self._names(("site", "wan", "devices"), site.wan.devices or [], self.devices, owner)
        self._segments(site)

    def _segments(self, site: SiteForm) -> None:
        for name, segment in site.segments.items():
            at: Path = ("site", "segments", name)
            self._names((*at, "devices"), segment.devices, self.devices, ("site", "devices"))
            for device in segment.addresses:
                if device not in segment.devices and not self.report.touched((*at, "devices")):
                    message = f"{show(device)} is not one of this segment's devices"
                    hint = choices(device, segment.devices, "the segment's devices")
                    self.report.add((*at, "addresses", device), message, hint, key=True)
                    self.report.spoil((*at, "addresses", device))
        for name, host in site.hosts.items():
            at = ("site", "hosts", name)
            self._name((*at, "segment"), host.segment, site.segments, ("site", "segments"), at)

    def _direct_connect(self, path: Path, connection: DirectConnectForm) -> None:
        self._device((*path, "device"), connection.device, path)
        if private := connection.private_vif:
            at = (*path, "private_vif")
            key = "virtual_private_gateway"
            self._name((*at, key), private.virtual_private_gateway, self.form.vpcs, ("vpcs",), at)
        if transit := connection.transit_vif:
            at = (*path, "transit_vif")
            known = self.form.region.transit_gateways
            owner: Path = ("region", "transit_gateways")
            self._name((*at, "transit_gateway"), transit.transit_gateway, known, owner, at)

    def placement_group(self, path: Path, group: str | None) -> None:
        """Check the placement group of an instance."""
        if group is not None:
            known = self.form.placement_groups
            at = (*path, "placement_group")
            self._name(at, group, known, ("placement_groups",), at)

    def instance(self, path: Path, instance: str) -> None:
        """Check the instance that a network interface is attached to."""
        self._name((*path, "instance"), instance, self.form.instances, ("instances",), path)

    def subnet(self, path: Path, interface: InstanceForm | NetworkInterfaceForm) -> None:
        """Check the subnet of an instance or network interface."""
        vpc, slash, subnet = interface.subnet.rpartition("/")
        at = (*path, "subnet")
        if slash:
            if self._name(at, vpc, self.form.vpcs, ("vpcs",), path):
                known = self.form.vpcs[vpc].subnets
                if self._name(at, subnet, known, ("vpcs", vpc, "subnets"), path):
                    self._groups(path, interface.security_groups, vpc)
            return
        owners = owners_of(self.form, subnet)
        if len(owners) > 1:
            message = f"{show(subnet)} is a subnet of {' and of '.join(owners)}"
            self.report.add(at, message, f"write {owners[0]}/{subnet}")
            self.report.spoil(path)
        elif not owners:
            vpcs = self.report.data.get("vpcs")
            names = list(vpcs) if isinstance(vpcs, dict) else []
            if not any(self.report.has(("vpcs", v, "subnets", subnet)) for v in names):
                there = [name for form in self.form.vpcs.values() for name in form.subnets]
                message = f"there is no subnet named {show(subnet)}"
                self.report.add(at, message, choices(subnet, there, "subnets"))
            self.report.spoil(path)
        else:
            self._groups(path, interface.security_groups, owners[0])

    def _groups(self, path: Path, groups: list[str] | None, vpc: str) -> None:
        """Check the security groups of an interface; they are those of its VPC."""
        known = security_groups(self.form.vpcs[vpc])
        owner: Path = ("vpcs", vpc, "security_groups")
        for index, name in enumerate(groups or []):
            others = [
                v for v in self.form.vpcs if name in (self.form.vpcs[v].security_groups or {})
            ]
            at = (*path, "security_groups", index)
            if name not in known and others and not self.report.has((*owner, name)):
                message = (
                    f"the security group {show(name)} belongs to the VPC {others[0]}: an interface"
                    f" needs groups of its own VPC, {vpc} (AWS: security groups)"
                )
                self.report.add(at, message, choices(name, known, f"groups of {vpc}"))
                self.report.spoil(self.report.original(path))
            else:
                self._name(at, name, known, owner, path)


def owners_of(form: TopologyForm, subnet: str) -> list[str]:
    """The VPCs that have a subnet of this name."""
    return [name for name, vpc in form.vpcs.items() if subnet in vpc.subnets]
