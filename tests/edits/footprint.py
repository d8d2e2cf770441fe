"""Which nodes an edit may change: those that the object is on, and those that name it.

A node is an object's own, or another's that the topology leads to from it: the routers of an
interface's VPC, the switch of a host's segment, the peers of a VPC. What is cabled to a node
that comes or goes has one interface more or less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from edits.documents import Place
from testbed.plan.model import Plan, Veth
from testbed.topology.model import NetworkInterface, Rack, Topology, Vpc

Nodes = set[str]


def allowed(before: tuple[Topology, Plan], after: tuple[Topology, Plan], edit: set[Place]) -> Nodes:
    """Return the nodes that the edit of these objects may change, add or remove."""
    found: Nodes = set()
    for topology, plan in (before, after):
        for place in edit:
            found |= _Footprint(topology, plan).of(place)
    if _world(before[0]) != _world(after[0]):
        # the first or last VPC that needs the internet, or its IPv6
        found |= {"region.edge", "region.internet"}
        found |= {n.name for _, plan in (before, after) for n in plan.nodes if n.role in OUTSIDE}
    for _, plan in (before, after):
        found |= {n.name for n in plan.nodes if n.role in NAMING or n.name == PUBLIC_DNS}
    names = [{node.name for node in plan.nodes} for _, plan in (before, after)]
    gone = found & (names[0] ^ names[1])
    for _, plan in (before, after):
        found |= {far for near, far in _cables(plan) if near in gone}
    return found


# What knows hosts, instances and Elastic IPs by name or by MAC address.
NAMING = {"dhcp-server", "lni-port"}
PUBLIC_DNS = "region.public-dns"
OUTSIDE = {"internet-host", "aws-service"}


def changed(before: Plan, after: Plan) -> Nodes:
    """Return the nodes that differ between two plans."""
    old, new = ({node.name: node for node in plan.nodes} for plan in (before, after))
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def _world(topology: Topology) -> tuple[bool, bool]:
    internet = topology.region.internet
    return internet is not None, internet is not None and internet.ipv6_cidr is not None


def _cables(plan: Plan) -> Iterator[tuple[str, str]]:
    for node in plan.nodes:
        for interface in node.interfaces:
            if isinstance(interface.device, Veth):
                yield node.name, interface.device.peer_node


class _Footprint:
    """The nodes of a plan that objects of its topology are on or that name them."""

    def __init__(self, topology: Topology, plan: Plan) -> None:
        self.topology = topology
        self.names = {node.name for node in plan.nodes}

    def of(self, place: Place) -> Nodes:
        """Return the nodes of the object at a place of the document."""
        kinds = tuple(str(step) for step in place[::2])
        names = tuple(str(step) for step in place[1::2])
        if place[0] in {"region", "site"}:
            kinds = (str(place[1]), *(str(step) for step in place[3::2]))
            names = tuple(str(step) for step in place[2::2])
        if place[:3] == ("region", "internet", "hosts"):
            kinds, names = ("internet_hosts",), (str(place[3]),)
        if place[0] == "outposts" and len(place) > 2:
            kinds, names = ("coip_pools",), (str(place[1]),)
        rules: dict[str, Callable[..., Nodes]] = {
            "hosted_zones": self.hosted_zone,
            "instances": self.interfaces,
            "layer2_services": self.speakers,
            "network_interfaces": self.interfaces,
            "outposts": self.outpost,
            "coip_pools": self.coip_pool,
            "placement_groups": lambda *_: set(),
            "internet_hosts": lambda name: {name, *self.region_resolvers()},
            "prefix_lists": lambda *_: set(),
            "transit_gateways": self.transit_gateway,
            "attachments": self.transit_gateway,
            "vpc_peering_connections": self.peering,
            "devices": self.device,
            "direct_connect": self.direct_connect,
            "firewalls": self.firewall,
            "hosts": lambda name: {name},
            "segments": self.segment,
            "vpcs": self.vpc,
            "endpoints": self.endpoint,
            "nat_gateways": self.nat_gateway,
            "network_acls": self.routers,
            "security_groups": self.security_group,
            "subnets": self.subnet,
        }
        if kinds[-1] == "route_tables":
            if kinds[0] == "vpcs":
                return self.route_table(*names)
            return {f"region.tgw-{names[0]}"}
        found = rules[kinds[-1]](*names)
        return found & self.names if kinds[-1] != "hosts" else found

    def speakers(self, name: str) -> Nodes:
        """Return who announces a service address, or those that an instance announces, too."""
        found: Nodes = set()
        for service in self.topology.layer2_services.values():
            nodes = {speaker.instance for speaker in service.speakers}
            known = nodes | {speaker.interface for speaker in service.speakers}
            found |= nodes if name in known | {service.name} else set()
        return found

    # What belongs to a VPC

    def routers(self, vpc: str, *_: str) -> Nodes:
        """The routers of a VPC, in the Region and on Outposts."""
        return {name for name in self.names if name.endswith(f".vpc-{vpc}")}

    def resolvers(self, vpc: str) -> Nodes:
        return {name for name in self.names if name.endswith(f".dns-{vpc}")}

    def region_resolvers(self) -> Nodes:
        """All VPCs' in the Region: they know public names, Elastic IPs' too."""
        return {name for name in self.names if name.startswith("region.dns-")}

    def gateways(self, vpc: str) -> Nodes:
        heads = (f"region.nat-{vpc}.", f"region.vpce-{vpc}.")
        own = {f"region.{kind}-{vpc}" for kind in ("igw", "eigw", "vgw")}
        return own | {name for name in self.names if name.startswith(heads)}

    def outposts_of(self, vpc: str) -> list[Rack]:
        """The Outposts on which a VPC has subnets, or whose local gateway is associated with it."""
        entry = self.topology.vpcs.get(vpc)
        if entry is None:
            return []
        places = {subnet.outpost for subnet in entry.subnets}
        outposts = self.topology.racks.values()
        return [o for o in outposts if o.name in places or o.domain_of(vpc)]

    def announcers(self, outposts: Iterable[Rack]) -> Nodes:
        """What knows the subnets and addresses that local gateways announce."""
        kinds = ("lgw", "ond1", "ond2")
        return {f"{outpost.name}.{kind}" for outpost in outposts for kind in kinds}

    def neighbours(self, vpc: str) -> Nodes:
        """The routers of the VPCs that a peering connection or transit gateway leads to."""
        region = self.topology.region
        peers = {connection.peer(vpc) for connection in region.peering_of(vpc)}
        for gateway in region.transit_gateways.values():
            if gateway.attachment_of(vpc):
                peers |= {entry.vpc for entry in gateway.attachments if entry.vpc}
        return {name for peer in peers for name in self.routers(peer)}

    def vpc(self, name: str) -> Nodes:
        found = self.routers(name) | self.resolvers(name) | self.gateways(name)
        found |= self.neighbours(name) | self.announcers(self.outposts_of(name))
        found |= {f"{o.name}.coip-{name}" for o in self.topology.outposts.values()}
        for gateway in self.topology.region.transit_gateways.values():
            if gateway.attachment_of(name):
                found.add(f"region.tgw-{gateway.name}")
        for interface in self.topology.network_interfaces.values():
            if interface.vpc == name:
                found |= self.interface(interface)
        if local := self.topology.local_network_interfaces.get(name):
            found.add(local.instance)
        return found

    def subnet(self, vpc: str, _name: str) -> Nodes:
        found = self.routers(vpc) | self.neighbours(vpc) | self.announcers(self.outposts_of(vpc))
        found |= {
            f"{o.name}.{kind}-{vpc}" for o in self.outposts_of(vpc) for kind in ("coip", "dns")
        }
        return found | self.ipv6(vpc)

    def route_table(self, vpc: str, _name: str) -> Nodes:
        routes = self.routers(vpc) | {f"region.vgw-{vpc}"}  # from which routes may propagate
        return routes | self.announcers(self.outposts_of(vpc)) | self.ipv6(vpc)

    def ipv6(self, vpc: str) -> Nodes:
        """The internet knows by which gateway an IPv6 subnet is reached."""
        entry = self.topology.vpcs.get(vpc)
        return {"region.internet"} if entry and entry.ipv6_cidr else set()

    def security_group(self, vpc: str, name: str) -> Nodes:
        return self.routers(vpc) | self.referring({(vpc, name)})

    def referring(self, groups: set[tuple[str, str]]) -> Nodes:
        """The routers of VPCs that have rules about members of one of the groups."""
        return {
            router
            for vpc in self.topology.vpcs.values()
            for group in vpc.security_groups
            for rule in (*group.ingress, *group.egress)
            if rule.group in groups
            for router in self.routers(vpc.name)
        }

    def nat_gateway(self, vpc: str, name: str) -> Nodes:
        entry = self.topology.network_interfaces.get(f"{vpc}.{name}")
        return self.interface(entry) if entry else self.routers(vpc)

    def endpoint(self, vpc: str, name: str) -> Nodes:
        head = f"region.vpce-{vpc}.{name}"
        own = {node for node in self.names if node == head or node.startswith(f"{head}.")}
        return own | self.routers(vpc) | self.resolvers(vpc)

    # Instances and what else has network interfaces

    def interfaces(self, name: str) -> Nodes:
        found: Nodes = {name} | self.speakers(name)
        for interface in self.topology.network_interfaces.values():
            if name in {interface.name, interface.instance}:
                found |= self.interface(interface)
        return found

    def interface(self, interface: NetworkInterface) -> Nodes:
        vpc = interface.vpc
        found = self.routers(vpc) | self.resolvers(vpc)
        found |= {interface.instance} if interface.instance else set()
        found |= self.referring({(vpc, group) for group in interface.security_groups})
        if interface.requester:
            found |= {f"region.nat-{interface.name}", f"region.vpce-{interface.name}"}
        if interface.elastic_ips:
            found |= {f"region.igw-{vpc}", "region.internet"} | self.region_resolvers()
        if interface.customer_owned_ip:
            place = self.topology.place_of(interface)
            found |= {f"{place}.lgw", f"{place}.coip-{vpc}"}
        for outpost, domain in self.topology.gateways:
            if any(route.interface == interface.name for route in domain.routes):
                found |= {n for n in self.names if n.startswith(f"{outpost.name}.coip-")}
                found |= {f"{outpost.name}.lgw", f"{outpost.name}.vpc-{vpc}"}
        return found

    # Outposts and the Region

    def outpost(self, name: str) -> Nodes:
        outpost = self.topology.racks.get(name)
        # the Region's own anchors are there for Outposts that have none of their own
        found = {f"region.{anchor.name}" for anchor in self.topology.region.anchors}
        found.add("region.outposts-api")
        if outpost is None:
            return found | self.server(name)
        found |= {n for n in self.names if n.startswith((f"{name}.", f"region.{name}-"))}
        found |= {lag.customer_device for lag in outpost.lags}
        found |= {firewall.name for firewall in self.topology.site.firewalls}
        for connection in self.topology.site.direct_connects:
            if any(entry.vrf == "sl" for entry in connection.virtual_interfaces):
                found.add(connection.device)  # it announces infrastructure subnets
        vpcs: list[Vpc] = [
            v for v in self.topology.vpcs.values() if outpost in self.outposts_of(v.name)
        ]
        for vpc in vpcs:
            found |= self.routers(vpc.name) | self.neighbours(vpc.name)
        return found | (
            self.routers(outpost.service_link.vpc) if outpost.service_link.vpc else set()
        )

    def server(self, name: str) -> Nodes:
        """Its ports with their switches and routers, and its VPCs' routers."""
        found = {n for n in self.names if n.startswith(f"{name}.")}
        server = self.topology.servers.get(name)
        if server is None:
            return found
        ports = [server.link.port, *([server.local_port] if server.local_port else [])]
        for port in ports:
            for segment in {port.segment, *port.tagged} - {None}:
                found |= self.segment(str(segment))
        found |= {firewall.name for firewall in self.topology.site.firewalls}
        for vpc in self.topology.vpcs.values():
            if any(subnet.outpost == name for subnet in vpc.subnets):
                found |= self.routers(vpc.name) | self.neighbours(vpc.name)
        return found

    def coip_pool(self, outpost: str) -> Nodes:
        coips = {name for name in self.names if name.startswith(f"{outpost}.coip-")}
        return coips | {f"{outpost}.{kind}" for kind in ("lgw", "ond1", "ond2")}

    def peering(self, name: str) -> Nodes:
        entry = self.topology.region.vpc_peering_connections.get(name)
        return self.routers(entry.requester) | self.routers(entry.accepter) if entry else set()

    def transit_gateway(self, name: str, *_: str) -> Nodes:
        gateway = self.topology.region.transit_gateways.get(name)
        found = {f"region.tgw-{name}"}
        for entry in gateway.attachments if gateway else ():
            found |= self.routers(entry.vpc) if entry.vpc else set()
        return found

    def hosted_zone(self, name: str) -> Nodes:
        zone = self.topology.hosted_zones.get(name)
        return {n for vpc in (zone.vpcs if zone else ()) for n in self.resolvers(vpc)}

    # The customer's site

    def device(self, name: str) -> Nodes:
        found = {name, "region.edge", "site.wan"}  # its links to them
        for outpost in self.topology.racks.values():
            if name in outpost.customer_devices:
                found |= self.outpost(outpost.name)
        segments = [s for s in self.topology.site.segments if name in dict(s.routers)]
        for segment in segments:
            found |= {h.name for h in self.topology.site.hosts if h.segment == segment.name}
        return found

    def segment(self, name: str) -> Nodes:
        site = self.topology.site
        found = {f"site.lan-{name}", "site.switch"} | {
            h.name for h in site.hosts if h.segment == name
        }
        return found | {d for s in site.segments if s.name == name for d, _ in s.routers}

    def firewall(self, name: str) -> Nodes:
        walls = [wall for wall in self.topology.site.firewalls if wall.name == name]
        return {name, "region.edge"} | {u.device for wall in walls for u in wall.inside}

    def direct_connect(self, name: str) -> Nodes:
        return {f"region.dx-{name}"}
