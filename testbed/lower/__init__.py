"""From AWS's words to Linux's: one module for each system of the real installation."""

from __future__ import annotations

from dataclasses import replace

from testbed.lower import faults, rack, region, server, site, vpc, workloads
from testbed.lower.builder import Draft
from testbed.lower.rack import local_gateway, management, service_link
from testbed.lower.region import public_dns, transit_gateway
from testbed.lower.server import layer2, local_interfaces
from testbed.lower.site import direct_connect, internet, real
from testbed.plan.model import Plan
from testbed.topology.model import Topology


def lower(topology: Topology) -> Plan:
    """Return the plan of a topology: deterministic, complete, and needing no rights to compute.

    What is numbered only here claims its number from the topology's.
    """
    draft = Draft(topology.name, topology.numbers)
    direct_connect.lower(draft, topology)
    region.lower(draft, topology)
    internet.lower(draft, topology)
    public_dns.lower(draft, topology)
    transit_gateway.lower(draft, topology)
    workloads.add_control_planes(draft, topology)
    for outpost in topology.racks.values():
        rack.lower(draft, topology, outpost)
        for domain in outpost.domains:
            local_gateway.lower(draft, topology, outpost, domain)
        service_link.lower(draft, topology, outpost)
    management.lower(draft, topology)
    site.lower(draft, topology)
    for outposts_server in topology.servers.values():
        server.lower(draft, topology, outposts_server)
    for entry in topology.vpcs.values():
        vpc.lower(draft, topology, entry)
    for outposts_server in topology.servers.values():
        local_interfaces.lower(draft, topology, outposts_server)
    workloads.lower(draft, topology)
    layer2.lower(draft, topology)
    plan = replace(draft.build(), time=topology.time, seed=topology.seed)
    return faults.lower(real.take_out(plan, topology), topology, draft.numbers)
