"""The rack's networking devices (ONDs): LAG, VLANs, VRFs and eBGP towards the customer.

First-generation rack: two ONDs, one LAG each, LACP with fast timers, one
service link VLAN and one local gateway VLAN per LAG, one eBGP session on each
(facts: R1, R2, M2). Inside, each OND has a link to the rack's service link
router and one to its local gateway, with iBGP over both.
"""

from __future__ import annotations

from typing import Literal

from testbed.lower import bgp, names
from testbed.lower.builder import LAST_METRIC, Draft, NodeDraft
from testbed.lower.builder import netem as netem_of
from testbed.lower.rack import inner
from testbed.plan.checks import LagCheck
from testbed.plan.model import TABLE_MAIN, Bond, Netem, Route, Veth, Vlan, Vrf
from testbed.plan.roles import Role
from testbed.topology.model import Lag, Outpost, Quality, Topology, Vif

TO_SERVICE_LINK = "to-sl"
TO_LOCAL_GATEWAY = "to-lgw"
# On a customer's VLAN an OND speaks for its address there, not for those inside the rack.
OND_SYSCTLS = {"net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/all/arp_announce": "2"}


def lower(draft: Draft, topology: Topology, outpost: Outpost) -> None:
    """Add the Outpost's ONDs."""
    for lag in outpost.lags:
        name = names.ond(outpost, lag.device)
        title = f"{outpost.name} Outpost networking device {lag.device}"
        node = draft.router(name, Role.NETWORKING_DEVICE, outpost.name, title)
        node.sysctls |= OND_SYSCTLS
        peer = (lag.customer_device, names.customer_bond(outpost, lag))
        add_vrf(node, names.VRF_SERVICE_LINK, names.TABLE_SERVICE_LINK, silent=True)
        add_vrf(node, names.VRF_LOCAL_GATEWAY, names.TABLE_LOCAL_GATEWAY, silent=True)
        # What comes from the customer goes to the local gateway and nowhere else; what comes
        # from there, by the main table, to the customer and nowhere else.
        gateway = inner.rack_link(outpost, lag.device, gateway=True)[1].ip
        node.route("0.0.0.0/0", via=gateway, dev=TO_LOCAL_GATEWAY, table=names.TABLE_LOCAL_GATEWAY)
        node.routes.append(Route("0.0.0.0/0", type="blackhole", metric=LAST_METRIC))
        add_lag(draft, node, names.OND_BOND, lag, peer, member_prefix=names.OND_MEMBER)
        add_vlan(node, names.OND_BOND, lag.service_link, names.VRF_SERVICE_LINK, outpost_side=True)
        add_vlan(
            node, names.OND_BOND, lag.local_gateway, names.VRF_LOCAL_GATEWAY, outpost_side=True
        )
        bgp.configure(draft, node, _router(topology, outpost, lag))


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
    lag: Lag,
    peer: tuple[str, str],
    *,
    member_prefix: str | None = None,
    peer_prefix: str | None = None,
) -> None:
    """Add one side of a LAG: the bond, its members, and the check that LACP agrees on each."""
    peer_node, peer_bond = peer
    members = names.lag_members(bond, lag, member_prefix)
    node.add(bond, Bond())
    for member, other in zip(members, names.lag_members(peer_bond, lag, peer_prefix), strict=True):
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


def _infrastructure(outpost: Outpost, lag: Lag) -> bgp.Policy:
    """The two /27s: the own one with path length 1, the other one with 4 (facts: R1, R2).

    A drained OND announces both with 4, and the other one both with 1: with
    equal lengths half the traffic would stay (docs/fidelity.md).
    """
    terms: list[bgp.Term] = []
    for device in (1, 2):
        here = lag.device not in outpost.drained
        short = here and (device == lag.device or device in outpost.drained)
        prefix = outpost.service_link.own_prefix(device)
        terms += bgp.only(prefix, prepend=0 if short else bgp.DRAINED_PREPEND)
    return tuple(terms)


def _router(topology: Topology, outpost: Outpost, lag: Lag) -> bgp.Router:
    infrastructure = _infrastructure(outpost, lag)
    prepend = bgp.DRAINED_PREPEND if lag.device in outpost.drained else 0
    announced = bgp.only(*topology.announced(outpost), prepend=prepend)
    uplink = _uplink(outpost, lag, lag.local_gateway, "local-gateway", announced)
    service_link = bgp.Instance(
        name="t_sl",
        vrf=names.VRF_SERVICE_LINK,
        table=names.TABLE_SERVICE_LINK,
        asn=outpost.service_link.asn,
        sessions=(
            _uplink(outpost, lag, lag.service_link, "service-link", infrastructure),
            _internal(outpost, lag, TO_SERVICE_LINK, outpost.service_link.asn),
        ),
    )
    local_gateway = bgp.Instance(
        name="t_lgw",
        vrf=names.VRF_LOCAL_GATEWAY,
        table=TABLE_MAIN,
        asn=outpost.local_gateway.asn,
        sessions=(
            uplink,
            _internal(outpost, lag, TO_LOCAL_GATEWAY, outpost.local_gateway.asn),
        ),
        installed_from=uplink.name,
    )
    return bgp.Router(str(lag.service_link.local_address.ip), (service_link, local_gateway))


def _uplink(outpost: Outpost, lag: Lag, vif: Vif, purpose: str, exports: bgp.Policy) -> bgp.Session:
    """The eBGP session of a VIF, from the Outpost's side."""
    ends = f"{outpost.name} OND{lag.device} - {lag.customer_device}"
    return bgp.Session(
        name=f"customer-{purpose}",
        interface=f"{names.OND_BOND}.{vif.vlan}",
        local=str(vif.local_address.ip),
        neighbor=str(vif.peer_address.ip),
        remote_asn=vif.peer_bgp_asn,
        title=f"{ends}, {purpose} VLAN {vif.vlan}",
        exports=exports,
        imports=bgp.DRAINED if lag.device in outpost.drained else None,
        bfd=bgp.Bfd() if lag.bfd else None,
    )


def _internal(outpost: Outpost, lag: Lag, interface: str, asn: int) -> bgp.Session:
    """The iBGP session to the rack's local gateway or service link router."""
    gateway = interface == TO_LOCAL_GATEWAY
    local, neighbor = inner.rack_link(outpost, lag.device, gateway=gateway)
    other = "local gateway" if gateway else "service link"
    return bgp.Session(
        name=interface,
        interface=interface,
        local=str(local.ip),
        neighbor=str(neighbor.ip),
        remote_asn=asn,
        title=f"{outpost.name} OND{lag.device} - {other} (inside the rack)",
        outside=gateway,
    )
