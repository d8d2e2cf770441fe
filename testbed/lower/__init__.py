"""From AWS's words to Linux's: one module for each system of the real installation."""

from __future__ import annotations

from dataclasses import replace

from testbed.lower import faults, rack, region, site, vpc
from testbed.lower.builder import Draft
from testbed.lower.rack import local_gateway, management, service_link
from testbed.lower.region import transit_gateway
from testbed.lower.site import direct_connect, internet, real
from testbed.plan.model import Plan
from testbed.topology.model import Topology
from testbed.topology.numbers import Numbers


def lower(topology: Topology, numbers: Numbers | None = None) -> Plan:
    """Return the plan of a topology: deterministic, complete, and needing no rights to compute.

    What is numbered here and not in the topology keeps the `numbers` that it had.
    """
    draft = Draft(topology.name, Numbers() if numbers is None else numbers)
    direct_connect.lower(draft, topology)
    region.lower(draft, topology)
    internet.lower(draft, topology)
    transit_gateway.lower(draft, topology)
    for outpost in topology.outposts.values():
        rack.lower(draft, topology, outpost)
        local_gateway.lower(draft, topology, outpost)
        service_link.lower(draft, topology, outpost)
    management.lower(draft, topology)
    site.lower(draft, topology)
    for entry in topology.vpcs.values():
        vpc.lower(draft, topology, entry)
    plan = replace(draft.build(), time=topology.time, seed=topology.seed)
    return faults.lower(real.take_out(plan, topology), topology, draft.numbers)
