"""The public names of the DNS: AWS's, those of Elastic IPs, those of hosts in the internet."""

from __future__ import annotations

from ipaddress import IPv4Address

from testbed.topology.model import Topology

AWS = "amazonaws.com"
INTERNET = "example"  # reserved (RFC 2606): the hosts of the small internet


def public_names(topology: Topology, vpc: str | None) -> dict[str, IPv4Address]:
    """Return the public names with their addresses, as `vpc` sees them, or the internet.

    In its own VPC an Elastic IP's name leads to the private address that has it (facts: V
    vpc-dns).
    """
    region = topology.region
    names = {f"{s.name}.{region.name}.{AWS}": s.address for s in region.public_services}
    for plane in topology.workloads.control_planes.values():
        names |= {f"{host}.{region.name}.{AWS}": plane.address for host in plane.hosts}
    for interface in topology.network_interfaces.values():
        for private, public in interface.elastic_ips:
            names[public_name(topology, public)] = private if interface.vpc == vpc else public
    hosts = region.internet.hosts if region.internet else ()
    return names | {f"{host.name}.{INTERNET}": host.address.ip for host in hosts}


def public_name(topology: Topology, address: IPv4Address) -> str:
    """Return the public DNS name of an Elastic IP (facts: V vpc-dns)."""
    region = topology.region.name
    domain = "compute-1" if region == "us-east-1" else f"{region}.compute"
    return f"ec2-{str(address).replace('.', '-')}.{domain}.{AWS}"


def outposts_name(topology: Topology) -> str:
    """Return the name of the Outposts endpoint, which a server resolves first (facts: N4)."""
    return f"outposts.{topology.region.name}.{AWS}"
