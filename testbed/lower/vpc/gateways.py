"""Gateways of a VPC in the Region: nodes beside its router, each on a link of its own.

What comes from a gateway gets a mark of that gateway's, so that an ICMP error
which the router sends back (too big for the service link, say) returns the
same way; it is routed by the VPC's local route.
"""

from __future__ import annotations

from testbed.lower.builder import ETHERNET_MTU, Draft, NodeDraft
from testbed.lower.rack import inner
from testbed.lower.vpc.router import VpcRouter
from testbed.plan.model import Route, Rule
from testbed.topology.model import Target

FIRST_MARK = 0x8000  # above all marks of route tables
PRIORITY = 110


def connect(
    draft: Draft,
    router: VpcRouter,
    number: int,
    port: str,
    gateway: tuple[NodeDraft, str],
    target: Target,
    mtu: int = ETHERNET_MTU,
) -> None:
    """Cable a gateway to the Region's router of a VPC, as the target of routes.

    `number` is the gateway's among those of the VPC, `port` the router's
    interface, `gateway` the other end.
    """
    own_end, far_end = inner.vpc_link(router.vpc, number)
    draft.cable((router.node, port), gateway, addresses=(own_end, far_end), mtu=mtu)
    gateway[0].route(router.vpc.cidr, via=own_end.ip, dev=gateway[1])
    router.gateways[target] = (far_end.ip, port)
    mark = FIRST_MARK + number
    router.ruleset.gateway_marks.append(f'"{port}" : {mark}')
    router.node.sysctls["net/ipv4/fwmark_reflect"] = "1"
    router.node.rules.append(Rule(PRIORITY, mark, fwmark=mark))
    router.node.routes.append(Route(str(router.vpc.cidr), type="throw", table=mark))
    router.node.route("0.0.0.0/0", via=far_end.ip, dev=port, table=mark)
