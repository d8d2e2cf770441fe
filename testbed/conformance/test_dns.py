"""DNS in VPCs: names of instances, hosted zones and endpoints, and who answers."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from scapy.layers.inet import IP

from testbed.conformance.expectation import expect
from testbed.conformance.naming import Question, Reply, ask, servers
from testbed.conformance.probing import captures
from testbed.conformance.rack_subjects import OutpostSubject
from testbed.conformance.site import Site
from testbed.conformance.subjects import InstanceSubject
from testbed.conformance.suites import CONNECTIVITY
from testbed.conformance.watching import came, pairs
from testbed.conformance.ways import WayEnd, Ways
from testbed.lower import names
from testbed.plan.model import Place
from testbed.topology.model import Topology, Vpc

pytestmark = pytest.mark.follows(*CONNECTIVITY)
LINK_LOCAL = "169.254.169.253"


def user(site: Site, instance: InstanceSubject) -> tuple[WayEnd, Vpc]:
    """An instance that uses its VPC's resolver."""
    vpc = site.topology.vpcs[instance.instance.vpc]
    if not vpc.dns_support or None not in vpc.dhcp_options.servers:
        pytest.skip("its VPC's DHCP option set does not name the VPC's resolver")
    return Ways(site.topology).end(instance.instance.name), vpc


def private_name(topology: Topology, address: IPv4Address) -> str:
    """An instance's private DNS name: ip-10-77-7-88.us-west-2.compute.internal (facts: V)."""
    return f"ip-{str(address).replace('.', '-')}.{topology.region.internal_domain}"


def _expect(site: Site, end: WayEnd, server: str, wanted: dict[Question, Reply]) -> None:
    answers = ask(site, end.name, server, list(wanted))
    for question, reply in wanted.items():
        name, kind = question
        subject = f"{end} asks {server} for {name} {kind}"
        expect(answers[question] == reply, subject, expected=str(reply), seen=answers[question])


def test_server(site: Site, instance: InstanceSubject) -> None:
    """An instance uses the DNS servers that its VPC's DHCP option set names.

    Expected: resolv.conf lists them in that order, the VPC's resolver as the VPC's base plus two.
    Source: V (DHCP option sets, vpc-dns)
    Remedy: restart the instance's DHCP client, or restore its resolv.conf.
    """
    vpc = site.topology.vpcs[instance.instance.vpc]
    wanted = [str(vpc.resolver if s is None else s) for s in vpc.dhcp_options.servers]
    found = servers(site, instance.instance.name)
    name = f"{instance} resolv.conf"
    expect(found == wanted, name, expected=", ".join(wanted), seen=", ".join(found))


@pytest.mark.after("dns.server")
def test_instances(site: Site, instance: InstanceSubject) -> None:
    """Private DNS names of the VPC's instances resolve both ways; unknown names do not exist.

    At the VPC's base address plus two, and at 169.254.169.253.

    Expected: ip-10-0-0-1.REGION.compute.internal resolves to the address, and the address to the
    name.
    Source: V (vpc-dns); botocore (Route 53 Resolver on Outposts)
    Remedy: for an Outpost the resolver is behind the service link, unless it has Route 53 Resolver:
    see dns.resolver.
    """
    end, vpc = user(site, instance)
    wanted: dict[Question, Reply] = {}
    for other in Ways(site.topology).instances:
        if other.vpc == vpc.name:
            name = private_name(site.topology, other.address)
            wanted[name, "A"] = Reply("NOERROR", frozenset({str(other.address)}))
            wanted[other.address.reverse_pointer, "PTR"] = Reply("NOERROR", frozenset({name}))
    wanted[f"no-such-name.{site.topology.region.internal_domain}", "A"] = Reply("NXDOMAIN")
    for server in (str(vpc.resolver), LINK_LOCAL):
        _expect(site, end, server, wanted)


@pytest.mark.after("dns.server")
def test_hosted_zones(site: Site, instance: InstanceSubject) -> None:
    """Records of private hosted zones resolve if they are associated with the VPC, else not.

    Expected: the values in the file.
    Source: V (vpc-dns): private hosted zones
    Remedy: associate the hosted zone with the VPC.
    """
    end, vpc = user(site, instance)
    wanted: dict[Question, Reply] = {}
    for zone in site.topology.hosted_zones.values():
        for record in zone.records:
            values = frozenset(value.removesuffix(".") for value in record.values)
            there = Reply("NOERROR", values)
            wanted[record.name, record.type] = there if vpc.name in zone.vpcs else Reply("NXDOMAIN")
    if not wanted:
        pytest.skip("the topology has no private hosted zone")
    _expect(site, end, str(vpc.resolver), wanted)


@pytest.mark.after("dns.server")
def test_endpoints(site: Site, instance: InstanceSubject) -> None:
    """The DNS names of the VPC's interface endpoints resolve to their network interfaces.

    Expected: their private addresses.
    Source: V (vpc-dns); AWS PrivateLink: private DNS
    Remedy: turn on private DNS of the endpoint, and DNS support of the VPC.
    """
    end, vpc = user(site, instance)
    interfaces = site.topology.network_interfaces
    wanted: dict[Question, Reply] = {
        (name, "A"): Reply("NOERROR", frozenset(str(interfaces[i].address) for i in e.interfaces))
        for e in vpc.endpoints
        for name in e.dns_names
    }
    if not wanted:
        pytest.skip("its VPC has no interface endpoint")
    _expect(site, end, str(vpc.resolver), wanted)


@pytest.mark.after("dns.instances")
def test_resolver(site: Site, outpost: OutpostSubject) -> None:
    """Route 53 Resolver on an Outpost answers its instances, else the Region's resolver.

    The check observes the query at the resolver itself.

    Expected: on an Outpost with Route 53 Resolver, the query reaches that resolver and does not
    leave the Outpost, because it knows the VPC's private names; otherwise the query reaches the
    VPC's resolver in the Region, over the service link.
    Source: V (vpc-dns), EKS; botocore (Route 53 Resolver on Outposts)
    Remedy: opt in to Route 53 Resolver on the Outpost, or check the service link.
    """
    here = [end for end in Ways(site.topology).instances if end.place == outpost.outpost.name]
    here = [end for end in here if None in site.topology.vpcs[end.vpc].dhcp_options.servers]
    here = [end for end in here if site.topology.vpcs[end.vpc].dns_support]
    if not here:
        pytest.skip("no instance on it uses its VPC's resolver")
    end, vpc = here[0], site.topology.vpcs[here[0].vpc]
    region: Place = (names.region_resolver(vpc.name), "eth0")
    local: Place = (names.outpost_resolver(outpost.outpost, vpc.name), "eth0")
    asked, other = (local, region) if outpost.outpost.resolver else (region, local)
    places = [asked, other] if outpost.outpost.resolver else [asked]
    question = (private_name(site.topology, end.address), "A")
    with captures(site, places, "udp dst port 53") as seen:
        reply = ask(site, end.name, str(vpc.resolver), [question])[question]
        came(site, seen[asked])
    name = f"{end} asks for {question[0]}"
    expect(reply.code == "NOERROR", name, expected="an answer", seen=reply)
    sources = {source for source, _ in pairs(p for p in seen[asked].packets if IP in p)}
    expect(
        str(end.address) in sources,
        f"{asked[0]}",
        expected=f"the question of {end.address}",
        seen=", ".join(sources) or "no question",
    )
    if outpost.outpost.resolver:
        number = len(seen[other].packets)
        expect(not number, other[0], expected="no question", seen=f"{number} questions")
