"""A service's control plane: a node in the Region, on a public address, with its program.

Outposts have no other way there than their service link: by an interface endpoint, whose
network interface is in the Region, or by the VPC's gateways to the internet. What is declared
is a file of the node's, which the program reads again when it changes.
"""

from __future__ import annotations

import json
from typing import Any

from testbed.lower import names, region
from testbed.lower.builder import Draft, NodeDraft, interface_name
from testbed.lower.rack import inner
from testbed.plan.checks import ListenCheck
from testbed.plan.model import NODE_DIRECTORY, Process
from testbed.plan.roles import REGION, Role
from testbed.topology.model import ControlPlane, Topology

PORT = 443
VPC_PORT = "eth0"  # an interface endpoint's


def add(
    draft: Draft, topology: Topology, plane: ControlPlane, program: str, declared: dict[str, Any]
) -> NodeDraft:
    """Add the node of a control plane, which runs `program` with NODE and its directory."""
    node = add_node(draft, topology, plane)
    file = f"{plane.service}.json"
    node.files[file] = json.dumps(declared, indent=1) + "\n"
    argv = (program, node.name, f"{NODE_DIRECTORY}/{node.name}")
    node.processes.append(Process(plane.service, argv, files=(file,), reload="program"))
    title = f"{node.title} on tcp port {PORT}"
    draft.checks.append(ListenCheck(node.name, "tcp", PORT, title))
    return node


def add_node(draft: Draft, topology: Topology, plane: ControlPlane) -> NodeDraft:
    """Add the node of a control plane, which runs nothing yet."""
    title = f"{topology.region.name} {plane.service} ({plane.address})"
    node = draft.host(names.public_service(plane.service), Role.AWS_SERVICE, REGION, title)
    gateway = topology.region.public_cidr.network_address + 1
    edge = draft.nodes[names.EDGE]
    port = interface_name("", plane.service)
    region.attach_public(draft, edge, node, port, plane.address, gateway)
    return node


def lead(draft: Draft, topology: Topology, plane: ControlPlane, endpoint: NodeDraft) -> None:
    """Have an interface endpoint pass on to a control plane what comes to port 443."""
    service = draft.nodes[names.public_service(plane.service)]
    managed = (i.name for i in topology.network_interfaces.values() if i.requester)
    known = map(names.endpoint, managed)
    claimed = draft.numbers.claim_all("endpoint-link", known, inner.ENDPOINT_NUMBERS)
    ends = inner.endpoint_link(claimed[endpoint.name])
    port = interface_name("", endpoint.name.removeprefix("region."))
    draft.cable((service, port), (endpoint, "service"), addresses=ends)
    endpoint.sysctls["net/ipv4/ip_forward"] = "1"
    endpoint.route(plane.address, via=ends[0].ip, dev="service")
    endpoint.nftables = _PASSING.format(port=PORT, vpc=VPC_PORT, to=plane.address, own=ends[1].ip)


_PASSING = """\
table ip endpoint {{
  chain towards {{
    type nat hook prerouting priority dstnat;
    iifname "{vpc}" tcp dport {port} dnat to {to}
  }}
  chain from {{
    type nat hook postrouting priority srcnat;
    oifname "service" snat to {own}
  }}
}}
"""
