"""Direct Connect: a connection at a customer device, and where its virtual interfaces lead.

The connection is an 802.1Q trunk. At the Direct Connect location each virtual
interface's VLAN is bridged to the router that it ends in: a virtual private
gateway, a transit gateway (by a Direct Connect gateway), or the Region's edge. A
connection that loses its link takes the virtual interfaces with it (`testbed.programs.carrier`).
BGP runs between that router and the customer's device, with keepalive 30 s,
hold 90 s and, if wanted, BFD (AWS: Direct Connect routing policies).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from testbed.lower import bgp, names
from testbed.lower.builder import Draft, NodeDraft, netem
from testbed.lower.site.tuning import lets
from testbed.plan.checks import RouteCheck
from testbed.plan.model import Bridge, Process, Vlan
from testbed.plan.roles import REGION, Role
from testbed.topology.model import (
    DirectConnect,
    Topology,
    VirtualInterface,
    VirtualInterfaceKind,
)

# What AWS announces on public virtual interfaces comes from the location's own Region
# (AWS: Direct Connect routing policies and BGP communities).
SAME_REGION = ("7224:8100",)
Ending = tuple[DirectConnect, VirtualInterface]


def endings(topology: Topology, kind: VirtualInterfaceKind, target: str = "") -> Iterator[Ending]:
    """The virtual interfaces of a kind that end in `target`."""
    for connection in topology.site.direct_connects:
        for entry in connection.virtual_interfaces:
            if (entry.kind, entry.target) == (kind, target):
                yield connection, entry


def lower(draft: Draft, topology: Topology) -> None:
    """Add the Direct Connect locations. The routers behind them connect by `terminate`."""
    for connection in topology.site.direct_connects:
        title = f"Direct Connect location of {connection.name}"
        node = draft.host(names.direct_connect(connection), Role.DIRECT_CONNECT, REGION, title)
        for entry in connection.virtual_interfaces:
            node.add(_bridge(entry), Bridge(), mtu=entry.mtu)
        behind = (_behind(entry) for entry in connection.virtual_interfaces)
        node.processes.append(Process("carrier", ("testbed-carrier", names.TRUNK, *behind)))


def _bridge(entry: VirtualInterface) -> str:
    return f"br-{entry.vlan}"


def _behind(entry: VirtualInterface) -> str:
    """The location's interface towards the router that a virtual interface ends in."""
    return f"vif-{entry.vlan}"


def terminate(
    draft: Draft,
    topology: Topology,
    node: NodeDraft,
    connection: DirectConnect,
    entry: VirtualInterface,
) -> bgp.Session:
    """Let a virtual interface end in `node`. Returns Amazon's side of its BGP session."""
    location = draft.nodes[names.direct_connect(connection)]
    draft.cable(
        (node, names.connection_port(connection)),
        (location, _behind(entry)),
        addresses=(entry.amazon_address, None),
        masters=(None, _bridge(entry)),
        mtu=entry.mtu,
    )
    public = entry.kind == "public"
    device = next(d for d in topology.site.devices if d.name == connection.device)
    return bgp.Session(
        name=names.connection_port(connection),
        interface=names.connection_port(connection),
        local=str(entry.amazon_address.ip),
        neighbor=str(entry.customer_address.ip),
        remote_asn=device.asn,
        title=f"{connection.name} {entry.kind} VIF, Amazon's side",
        exports=bgp.only(*entry.prefixes, communities=SAME_REGION if public else ()),
        imports=None if public else bgp.BY_COMMUNITY,
        bfd=bgp.Bfd() if entry.bfd else None,
        limit=entry.limit,
        password=entry.auth_key or "",
    )


def attach(
    draft: Draft, connection: DirectConnect, node: NodeDraft
) -> list[tuple[str, VirtualInterface]]:
    """Cable a connection to its customer device: (interface, virtual interface) of each VLAN."""
    trunk = names.connection_trunk(connection)
    location = draft.nodes[names.direct_connect(connection)]
    vifs = connection.virtual_interfaces
    mtu = max([1500, *(entry.mtu for entry in vifs)])
    draft.cable(
        (node, trunk), (location, names.TRUNK), mtu=mtu, impairment=netem(connection.quality)
    )
    made = []
    for entry in vifs:
        vlan = Vlan(names.TRUNK, entry.vlan)
        location.add(f"{names.TRUNK}.{entry.vlan}", vlan, mtu=entry.mtu, master=_bridge(entry))
        name = f"{trunk}.{entry.vlan}"
        node.add(
            name,
            Vlan(trunk, entry.vlan),
            mtu=entry.mtu,
            master=entry.vrf,
            addresses=(entry.customer_address,),
        )
        made.append((name, entry))
    return made


def session(
    topology: Topology, connection: DirectConnect, interface: str, entry: VirtualInterface
) -> bgp.Session:
    """The customer's side of a virtual interface's BGP session.

    In the VRF of the service link the infrastructure subnets are announced,
    in that of the LAN everything in it.
    """
    infrastructure = tuple(
        prefix for rack in topology.racks.values() for prefix in rack.service_link.announced
    )
    return bgp.Session(
        name=f"{names.connection_port(connection)}-{entry.kind}",
        interface=interface,
        local=str(entry.customer_address.ip),
        neighbor=str(entry.amazon_address.ip),
        remote_asn=entry.amazon_asn,
        title=f"{connection.device} - {connection.name} {entry.kind} VIF, VLAN {entry.vlan}",
        exports=bgp.only(*infrastructure) if entry.vrf == names.VRF_SERVICE_LINK else None,
        password=entry.auth_key or "",
        bfd=bgp.Bfd() if entry.bfd else None,
    )


def expected(topology: Topology, kind: VirtualInterfaceKind, target: str = "") -> list[IPv4Network]:
    """The LAN segments that a generated configuration announces to `target`."""
    found: dict[IPv4Network, None] = {}
    devices = {device.name: device for device in topology.site.devices}
    for connection, entry in endings(topology, kind, target):
        if entry.vrf != names.VRF_LOCAL_GATEWAY or devices[connection.device].config:
            continue
        rules = devices[connection.device].bgp.of(connection.name, entry.kind).outbound
        for segment in topology.site.segments:
            own = any(device == connection.device for device, _ in segment.routers)
            if own and segment.vrf == entry.vrf and lets(rules, segment.cidr):
                found[segment.cidr] = None
    return list(found)


def expect(draft: Draft, topology: Topology) -> None:
    """Check that each device learns what Amazon announces to it."""
    tables = {"sl": names.TABLE_SERVICE_LINK, "lgw": names.TABLE_LOCAL_GATEWAY}
    devices = {device.name: device for device in topology.site.devices}
    for connection in topology.site.direct_connects:
        for entry in connection.virtual_interfaces:
            rules = devices[connection.device].bgp.of(connection.name, entry.kind).inbound
            for prefix in entry.prefixes:
                if not lets(rules, prefix):
                    continue
                title = f"{connection.device}: {prefix} by {connection.name}"
                table = tables[entry.vrf]
                draft.checks.append(RouteCheck(connection.device, table, str(prefix), title))
