"""The rack's networking devices (ONDs): LAGs, VLANs, VRFs and eBGP towards the customer.

Each OND has one or more LAGs, LACP with fast timers, on each a service link VLAN and a local
gateway VLAN for each routing domain, with an eBGP session on each (facts: R1, R2, M2, L3). How
many there are is the form factor's (`testbed.topology.form_factors`). Inside, each OND has a link
to the rack's service link router and one to each routing domain of its local gateway, with iBGP
over all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from testbed.lower import bgp, names
from testbed.lower.builder import LAST_METRIC, Draft, NodeDraft
from testbed.lower.builder import netem as netem_of
from testbed.lower.rack import inner
from testbed.plan.bird import symbol
from testbed.plan.checks import LagCheck
from testbed.plan.model import TABLE_MAIN, Bond, Netem, Route, Rule, Veth, Vlan, Vrf
from testbed.plan.roles import Role
from testbed.topology.model import (
    Lag,
    Quality,
    Rack,
    RoutingDomain,
    Topology,
    Vif,
)

TO_SERVICE_LINK = "to-sl"
PRIORITY_OUTWARD = 100
# On a customer's VLAN an OND speaks for its address there, not for those inside the rack.
OND_SYSCTLS = {"net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/all/arp_announce": "2"}


def lower(draft: Draft, topology: Topology, rack: Rack) -> None:
    """Add the Outpost's ONDs."""
    for device in rack.devices:
        name = names.ond(rack, device)
        title = f"{rack.name} Outpost networking device {device}"
        node = draft.router(name, Role.NETWORKING_DEVICE, rack.name, title)
        node.sysctls |= OND_SYSCTLS
        if rack.device_racks:
            node.hardware = (names.rack(rack.name, rack.device_racks[device - 1]),)
        add_vrf(node, names.VRF_SERVICE_LINK, names.TABLE_SERVICE_LINK, silent=True)
        for domain in rack.domains:
            _add_domain(draft, node, rack, device, domain)
        node.routes.append(Route("0.0.0.0/0", type="blackhole", metric=LAST_METRIC))
        vrfs = {domain.name: names.ond_vrf(domain) for domain in rack.domains}
        for lag in rack.lags_of(device):
            bond = names.ond_bond(lag)
            peer = (lag.customer_device, names.customer_members(rack, lag))
            add_lag(draft, node, bond, names.ond_members(lag), peer, lag)
            for vif in lag.vifs:
                vrf = names.VRF_SERVICE_LINK if vif.domain is None else vrfs[vif.domain]
                add_vlan(node, bond, vif, vrf, outpost_side=True)
        bgp.configure(draft, node, _router(draft, topology, rack, device))


def _add_domain(
    draft: Draft, node: NodeDraft, rack: Rack, device: int, domain: RoutingDomain
) -> None:
    """Add a routing domain's VRF.

    What comes from the customer goes to the local gateway and nowhere else; what comes from
    there, by another table, to the customer and nowhere else.
    """
    inward, outward = names.ond_tables(domain)
    port = names.to_local_gateway(domain)
    add_vrf(node, names.ond_vrf(domain), inward, silent=True)
    gateway = inner.rack_link(draft.numbers, rack, device, domain)[1].ip
    node.route("0.0.0.0/0", via=gateway, dev=port, table=inward)
    if outward != TABLE_MAIN:
        node.rules.append(Rule(PRIORITY_OUTWARD, outward, iif=port))
        nothing = Route("0.0.0.0/0", type="blackhole", table=outward, metric=LAST_METRIC)
        node.routes.append(nothing)


def add_vrf(node: NodeDraft, name: str, table: int, *, silent: bool = False) -> None:
    """Add a VRF whose lookups end in its own table, and don't go on to the main one.

    What has no route is answered with an error, unless `silent`.
    """
    node.add(name, Vrf(table))
    last: Literal["blackhole", "unreachable"] = "blackhole" if silent else "unreachable"
    node.routes.append(Route("0.0.0.0/0", type=last, table=table, metric=LAST_METRIC))


def add_lag(
    draft: Draft,
    node: NodeDraft,
    bond: str,
    members: Sequence[str],
    peer: tuple[str, Sequence[str]],
    lag: Lag,
) -> None:
    """Add one side of a LAG: the bond, its members, and the check that LACP agrees on each.

    `peer` is the other side's node, with its members.
    """
    peer_node, others = peer
    node.add(bond, Bond())
    for member, other in zip(members, others, strict=True):
        node.add(member, Veth(peer_node, other), master=bond, mtu=1500, netem=_member_netem(lag))
    title = f"LAG {node.name} {bond} - {peer_node}"
    draft.checks.append(LagCheck(node.name, bond, tuple(members), title))


def _member_netem(lag: Lag) -> Netem | None:
    return netem_of(Quality(rate_mbps=lag.speed_gbps * 1000.0))


def add_vlan(node: NodeDraft, bond: str, vif: Vif, vrf: str, *, outpost_side: bool) -> str:
    """Add one side of a VIF: the 802.1Q interface on the bond, in its VRF. Returns its name."""
    name = f"{bond}.{vif.vlan}"
    address = vif.local_address if outpost_side else vif.peer_address
    node.add(
        name,
        Vlan(bond, vif.vlan),
        mtu=1500,
        master=vrf,
        addresses=(address,),
    )
    return name


def _infrastructure(rack: Rack, device: int) -> bgp.Policy:
    """What the service link announces at an OND: own prefixes shorter than others' (R1, R2)."""
    link = rack.service_link
    return tuple(
        term
        for prefix in link.announced
        for term in bgp.only(prefix, prepend=link.path_length(device, prefix, rack.drained) - 1)
    )


def _router(draft: Draft, topology: Topology, rack: Rack, device: int) -> bgp.Router:
    lags = rack.lags_of(device)
    infrastructure = _infrastructure(rack, device)
    service_link = bgp.Instance(
        name="t_sl",
        vrf=names.VRF_SERVICE_LINK,
        table=names.TABLE_SERVICE_LINK,
        asn=rack.service_link.asn,
        sessions=(
            *(_uplink(rack, lag, lag.service_link, infrastructure) for lag in lags),
            _internal(draft, rack, device, None),
        ),
    )
    domains = (_domain(draft, topology, rack, device, domain) for domain in rack.domains)
    router_id = str(lags[0].service_link.local_address.ip)
    return bgp.Router(router_id, (service_link, *domains))


def _domain(
    draft: Draft, topology: Topology, rack: Rack, device: int, domain: RoutingDomain
) -> bgp.Instance:
    """The routing instance of a routing domain."""
    prepend = bgp.DRAINED_PREPEND if device in rack.drained else 0
    announced = bgp.only(*topology.announced(rack, domain), prepend=prepend)
    uplinks = tuple(
        _uplink(rack, lag, vif, announced)
        for lag in rack.lags_of(device)
        if (vif := lag.local_gateway(domain.name)) is not None
    )
    return bgp.Instance(
        name=f"t_{symbol('lgw-' + domain.name)}" if domain.name else "t_lgw",
        vrf=names.ond_vrf(domain),
        table=names.ond_tables(domain)[1],
        asn=domain.asn,
        sessions=(*uplinks, _internal(draft, rack, device, domain)),
        installed_from=tuple(uplink.name for uplink in uplinks),
    )


def _uplink(rack: Rack, lag: Lag, vif: Vif, exports: bgp.Policy) -> bgp.Session:
    """The eBGP session of a VIF, from the Outpost's side."""
    ends = f"{rack.name} OND{lag.device} - {lag.customer_device}"
    return bgp.Session(
        name=names.ond_session(lag, vif),
        interface=f"{names.ond_bond(lag)}.{vif.vlan}",
        local=str(vif.local_address.ip),
        neighbor=str(vif.peer_address.ip),
        remote_asn=vif.peer_bgp_asn,
        title=f"{ends}, {vif.title} VLAN {vif.vlan}",
        exports=exports,
        imports=bgp.DRAINED if lag.device in rack.drained else None,
        bfd=bgp.Bfd() if lag.bfd else None,
    )


def _internal(draft: Draft, rack: Rack, device: int, domain: RoutingDomain | None) -> bgp.Session:
    """The iBGP session to the rack's local gateway, or service link router (None)."""
    interface = names.to_local_gateway(domain) if domain else TO_SERVICE_LINK
    local, neighbor = inner.rack_link(draft.numbers, rack, device, domain)
    other = domain.title("").strip() if domain else "service link"
    return bgp.Session(
        name=interface,
        interface=interface,
        local=str(local.ip),
        neighbor=str(neighbor.ip),
        remote_asn=domain.asn if domain else rack.service_link.asn,
        title=f"{rack.name} OND{device} - {other} (inside the rack)",
        outside=domain is not None,
    )
