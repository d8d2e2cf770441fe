"""DNS: the VPC's resolver in the Region, and Route 53 Resolver on Outposts.

The resolver answers at the VPC's base address plus two and at
169.254.169.253, to the VPC's own interfaces only, whatever their security
groups, network ACLs and route tables say (facts: V vpc-dns, nacl). It is in
the Region: without the service link an Outpost's instances have none, unless
the Outpost has a resolver of its own. That one knows the VPC's private names,
asks the Region for the rest and answers from its cache, maybe stale, while
the service link is down (facts: botocore).
"""

from __future__ import annotations

from ipaddress import IPv4Address

from testbed.lower import names
from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.public_names import public_names
from testbed.lower.rack import inner
from testbed.lower.templating import environment
from testbed.lower.vpc import overlay
from testbed.lower.vpc.router import VpcRouter
from testbed.plan.checks import ListenCheck
from testbed.plan.model import RESOLV_CONF, TABLE_MAIN, Process, Rule
from testbed.plan.roles import REGION, Role
from testbed.topology.model import Record, Topology, Vpc

LINK_LOCAL = IPv4Address("169.254.169.253")
PORT = "dns"
PRIORITY = 50  # before the VPC's route tables, which do not lead here
PRIVATE_TTL_S = 60
ROOT, REVERSE = "", "in-addr.arpa"


def add_region_resolver(draft: Draft, topology: Topology, region: VpcRouter) -> None:
    """Add the VPC's resolver to its router in the Region."""
    vpc = region.vpc
    gateway, own = inner.resolver(vpc)
    title = f"DNS resolver of VPC {vpc.name}"
    node = draft.host(names.region_resolver(vpc.name), Role.RESOLVER, REGION, title)
    region.node.loopback(gateway)
    _cable(draft, region, node, gateway, own)
    _serve(draft, topology, vpc, node, own, upstream=None)


def add_outpost_resolver(draft: Draft, topology: Topology, router: VpcRouter) -> None:
    """Add Route 53 Resolver to the VPC's router on an Outpost; it asks the one in the Region."""
    vpc, outpost = router.vpc, router.outpost
    assert outpost is not None
    own = inner.outpost_resolver(outpost, vpc)
    title = f"{outpost.name} Route 53 Resolver for VPC {vpc.name}"
    name = names.outpost_resolver(outpost, vpc.name)
    node = draft.host(name, Role.RESOLVER, outpost.name, title)
    near, far = inner.overlay_link(outpost, vpc)
    _cable(draft, router, node, near.ip, own)
    upstream = inner.resolver(vpc)[1]
    router.node.route(upstream, via=far.ip, dev=names.OVERLAY_PORT)
    region = draft.nodes[names.region_vpc(vpc.name)]
    region.route(own, via=near.ip, dev=overlay.far_port(outpost))
    _serve(draft, topology, vpc, node, own, upstream=upstream)


def use_region_resolver(router: VpcRouter) -> None:
    """Let an Outpost without a resolver of its own use the one in the Region."""
    assert router.outpost is not None
    far = inner.overlay_link(router.outpost, router.vpc)[1].ip
    for address in (router.vpc.resolver, LINK_LOCAL):
        router.node.route(address, via=far, dev=names.OVERLAY_PORT)
    _let_through(router, names.OVERLAY_PORT)


def _cable(
    draft: Draft, router: VpcRouter, node: NodeDraft, gateway: IPv4Address, own: IPv4Address
) -> None:
    addresses = (router.vpc.resolver, LINK_LOCAL, own)
    node.loopback(*addresses)
    draft.cable((router.node, PORT), (node, "eth0"))
    for address in addresses:
        router.node.route(address, dev=PORT)
    node.route(gateway, dev="eth0", source=own)
    node.route("0.0.0.0/0", via=gateway, dev="eth0", source=own)
    _let_through(router, PORT)


def _let_through(router: VpcRouter, port: str) -> None:
    """Only what is from the VPC's interfaces gets to the resolver, and that unfiltered."""
    router.node.rules.append(Rule(PRIORITY, TABLE_MAIN, destination=f"{LINK_LOCAL}/32"))
    router.node.rules.append(Rule(PRIORITY, TABLE_MAIN, destination=f"{router.vpc.resolver}/32"))
    both = f"{{ {router.vpc.resolver}, {LINK_LOCAL} }}"
    router.ruleset.resolver += [
        f'iifname "eni-*" oifname "{port}" ip daddr {both} accept',
        f'iifname "{port}" oifname "eni-*" ip saddr {both} accept',
    ]
    if port == PORT:
        router.ruleset.resolver += [
            f'iifname "{overlay.port_of(router)}" oifname "{PORT}" accept',
            f'iifname "{PORT}" oifname "{overlay.port_of(router)}" accept',
            f'oifname "{PORT}" counter drop',
        ]
    else:
        router.ruleset.resolver.append(f"ip daddr {both} counter drop")


def _serve(
    draft: Draft,
    topology: Topology,
    vpc: Vpc,
    node: NodeDraft,
    own: IPv4Address,
    *,
    upstream: IPv4Address | None,
) -> None:
    directory = f"/run/node/{node.name}"
    zones = _private_zones(topology, vpc)
    if upstream is None:
        zones |= _public_zones(topology, vpc)
    node.files["unbound.conf"] = environment.get_template("unbound.conf.j2").render(
        title=node.title,
        directory=directory,
        addresses=(vpc.resolver, LINK_LOCAL, own),
        upstream=upstream,
        zones=zones,
    )
    for zone, records in zones.items():
        node.files[f"zone-{zone or 'root'}"] = _zone_file(zone, records)
    argv = ("unbound", "-d", "-p", "-c", f"{directory}/unbound.conf")
    node.processes.append(Process("unbound", argv, files=tuple(node.files)))
    draft.checks.append(ListenCheck(node.name, "udp", 53, f"{node.title} on UDP port 53"))


def private_name(topology: Topology, address: IPv4Address) -> str:
    """The private DNS name of a private address, such as ip-10-77-7-88 in the Region's domain."""
    return f"ip-{str(address).replace('.', '-')}.{topology.region.internal_domain}"


def _private_zones(topology: Topology, vpc: Vpc) -> dict[str, list[str]]:
    """What the VPC's resolvers know, zone by zone, as lines of zone files (facts: V vpc-dns)."""
    forward: list[str] = []
    reverse: list[str] = []
    for interface in topology.network_interfaces.values():
        if interface.vpc == vpc.name:
            for address in interface.addresses:
                name = private_name(topology, address)
                forward.append(f"{name}. {PRIVATE_TTL_S} IN A {address}")
                reverse.append(f"{address.reverse_pointer}. {PRIVATE_TTL_S} IN PTR {name}.")
    zones = {topology.region.internal_domain: forward, REVERSE: reverse}
    for endpoint in vpc.endpoints:
        for name in endpoint.dns_names:
            zones[name] = [
                f"{name}. {PRIVATE_TTL_S} IN A {topology.network_interfaces[interface].address}"
                for interface in endpoint.interfaces
                if interface in topology.network_interfaces
            ]
    for zone in topology.hosted_zones.values():
        if vpc.name in zone.vpcs:
            zones.setdefault(zone.name, []).extend(
                _record_line(record, value) for record in zone.records for value in record.values
            )
    return zones


def _public_zones(topology: Topology, vpc: Vpc) -> dict[str, list[str]]:
    """What the resolver in the Region knows of the rest of the world, as the VPC sees it.

    An Elastic IP's name leads to the private address that has it (facts: V
    vpc-dns). What nobody knows has an answer, too: there is no such name.
    """
    known = public_names(topology, vpc.name)
    records = [f"{name}. {PRIVATE_TTL_S} IN A {address}" for name, address in known.items()]
    return {ROOT: records}


def _record_line(record: Record, value: str) -> str:
    if record.type == "TXT":
        value = f'"{value}"'
    elif record.type not in {"A", "AAAA"}:
        value = f"{value.removesuffix('.')}."
    return f"{record.name}. {record.ttl_s} IN {record.type} {value}"


def _zone_file(zone: str, records: list[str]) -> str:
    server = f"ns.{zone}." if zone else "ns."
    contact, timers = f"hostmaster.{zone or 'invalid'}.", f"1 7200 900 1209600 {PRIVATE_TTL_S}"
    head = [
        f"{zone}. {PRIVATE_TTL_S} IN SOA {server} {contact} {timers}",
        f"{zone}. {PRIVATE_TTL_S} IN NS {server}",
    ]
    return "\n".join([*head, *records, ""])


def resolv_conf(vpc: Vpc) -> str:
    """An instance's resolv.conf(5), as the VPC's DHCP option set makes it."""
    servers = [vpc.resolver if server is None else server for server in vpc.dhcp_options.servers]
    lines = [f"search {vpc.dhcp_options.domain_name}"]
    lines += [f"nameserver {server}" for server in servers]
    return "\n".join([*lines, "options timeout:2 attempts:2", ""])


def configure_instance(node: NodeDraft, vpc: Vpc) -> None:
    """Give an instance what it would get by DHCP."""
    node.files[RESOLV_CONF] = resolv_conf(vpc)
