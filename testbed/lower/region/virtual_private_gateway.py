"""Virtual private gateways: a VPC's end of Direct Connect private virtual interfaces.

The gateway announces the VPC's CIDR block and learns the customer's prefixes.
VPC route tables with `propagate` get these, in the Region and on Outposts; a
static route to the same destination beats them, and so does the local route
to everything in the VPC's CIDR block (facts: V route tables).
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from testbed.lower import bgp, names
from testbed.lower.builder import LAST_METRIC, Draft
from testbed.lower.rack import inner
from testbed.lower.site import direct_connect
from testbed.lower.vpc import gateways, overlay
from testbed.lower.vpc.interfaces import JUMBO_MTU
from testbed.lower.vpc.router import VpcRouter
from testbed.plan.checks import RouteCheck
from testbed.plan.model import Route
from testbed.plan.roles import REGION, Role
from testbed.topology.model import Target, Topology, Vpc

NUMBER = 1  # among the VPC's gateways
TO_VPC, TO_GATEWAY = "vpc", "vgw"
NO_HOLD_TIMER = 0  # an Outpost that is disconnected keeps its routes (facts: H3)


def lower(draft: Draft, topology: Topology, region: VpcRouter, outposts: list[VpcRouter]) -> None:
    """Add a VPC's virtual private gateway, if it has one, and let its routes propagate."""
    vpc = region.vpc
    gateway = vpc.virtual_private_gateway
    if gateway is None:
        return
    name = names.virtual_private_gateway(vpc.name)
    title = f"virtual private gateway of VPC {vpc.name}"
    node = draft.router(name, Role.VIRTUAL_PRIVATE_GATEWAY, REGION, title)
    target = Target("virtual-private-gateway")
    gateways.connect(draft, region, NUMBER, TO_GATEWAY, (node, TO_VPC), target, JUMBO_MTU)
    region.contain()
    node.routes.append(Route("0.0.0.0/0", type="blackhole", metric=LAST_METRIC))
    sessions = [
        replace(session, imports=(*bgp.all_but(vpc.cidr)[:-1], *(session.imports or ())))
        for session in (
            direct_connect.terminate(draft, topology, node, *ending)
            for ending in direct_connect.endings(topology, "private", vpc.name)
        )
    ]
    tables = propagating(vpc)
    if tables:
        sessions.append(_session(vpc, to_vpc=True))
    if not sessions:
        return
    instance = bgp.Instance(
        "t_main", None, 254, gateway.asn, tuple(sessions), static=(str(vpc.cidr),)
    )
    bgp.configure(draft, node, bgp.Router(str(inner.vpc_link(vpc, NUMBER)[1].ip), (instance,)))
    for prefix in direct_connect.expected(topology, "private", vpc.name):
        if not prefix.subnet_of(vpc.cidr):
            draft.checks.append(RouteCheck(name, 254, str(prefix), f"{title}: {prefix}"))
    if tables:
        _propagate(draft, topology, region, outposts)


def propagating(vpc: Vpc) -> tuple[int, ...]:
    """The numbers, marks and kernel tables, of the route tables that routes are propagated to."""
    return tuple(table.number for table in vpc.route_tables if table.propagate)


def _session(vpc: Vpc, *, to_vpc: bool) -> bgp.Session:
    """The session between the gateway and the VPC's router in the Region, from one end."""
    ends = inner.vpc_link(vpc, NUMBER)
    own, far = reversed(ends) if to_vpc else ends
    assert vpc.virtual_private_gateway is not None
    return bgp.Session(
        name=TO_VPC if to_vpc else TO_GATEWAY,
        interface=TO_VPC if to_vpc else TO_GATEWAY,
        local=str(own.ip),
        neighbor=str(far.ip),
        remote_asn=vpc.virtual_private_gateway.asn,
        title=f"virtual private gateway of {vpc.name} - VPC router (inside the Region)",
        exports=None if to_vpc else (),
        imports=None if to_vpc else bgp.all_but(vpc.cidr),
    )


def _propagate(
    draft: Draft, topology: Topology, region: VpcRouter, outposts: list[VpcRouter]
) -> None:
    vpc = region.vpc
    sessions = [_session(vpc, to_vpc=False)]
    for router in outposts:
        assert router.outpost is not None
        near, far = inner.overlay_link(router.outpost, vpc)
        far_port = overlay.far_port(router.outpost)
        sessions.append(_over_service_link(vpc, router, far_port, far.ip, near.ip, reflect=True))
        session = _over_service_link(
            vpc, router, names.OVERLAY_PORT, near.ip, far.ip, reflect=False
        )
        _configure(draft, topology, router, [session])
    _configure(draft, topology, region, sessions)


def _over_service_link(
    vpc: Vpc,
    router: VpcRouter,
    interface: str,
    local: IPv4Address,
    neighbor: IPv4Address,
    *,
    reflect: bool,
) -> bgp.Session:
    assert vpc.virtual_private_gateway is not None
    assert router.outpost is not None
    return bgp.Session(
        name=interface,
        interface=interface,
        local=str(local),
        neighbor=str(neighbor),
        remote_asn=vpc.virtual_private_gateway.asn,
        title=f"{router.outpost.name}: routes that propagate in VPC {vpc.name}",
        exports=None if reflect else (),
        reflect=reflect,
        hold_s=NO_HOLD_TIMER,
    )


def _configure(
    draft: Draft, topology: Topology, router: VpcRouter, sessions: list[bgp.Session]
) -> None:
    vpc = router.vpc
    assert vpc.virtual_private_gateway is not None
    asn = vpc.virtual_private_gateway.asn
    tables = propagating(vpc)
    instance = bgp.Instance("t_learned", None, None, asn, tuple(sessions), propagated=tables)
    bgp.configure(draft, router.node, bgp.Router(sessions[0].local, (instance,)))
    learned = direct_connect.expected(topology, "private", vpc.name)
    for table in (each for each in vpc.route_tables if each.propagate):
        static = {route.destination for route in table.routes}
        for prefix in learned:
            if prefix in static or prefix.subnet_of(vpc.cidr):
                continue
            title = f"{router.node.title}: {prefix} in the route table {table.name}"
            draft.checks.append(RouteCheck(router.node.name, table.number, str(prefix), title))
