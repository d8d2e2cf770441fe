"""What a plan calls its kernel's objects: route tables, tunnels, nodes, in AWS's words."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from testbed.plan.checks import LocalGatewayCheck, TableRouteCheck
from testbed.plan.model import Vrf, Vxlan, WireGuard, WireGuardPeer
from testbed.plan.roles import Role
from testbed.probes.trace.routing import LOCAL, MAIN, MARTIAN

if TYPE_CHECKING:
    from testbed.plan.model import Node, Plan
    from testbed.probes.trace.order import Wiring
    from testbed.probes.trace.routing import Decision

DAEMONS = {"bird", "bgp", "zebra"}


class Words:
    """Names for the objects of one plan."""

    def __init__(self, plan: Plan, wiring: Wiring) -> None:
        self._nodes = {node.name: node for node in plan.nodes}
        self._wiring = wiring
        self._vpc_tables: dict[tuple[str, int], str] = {}
        self._gateways: dict[tuple[str, int], str] = {}
        self._learned: set[tuple[str, int]] = set()  # what a local gateway's other tables are for
        for check in plan.checks:
            if isinstance(check, TableRouteCheck):
                text = f"route table {check.route_table} of VPC {check.owner}"
                self._vpc_tables[check.owner, check.table] = text
                self._gateways.setdefault((check.node, check.table), text)
            elif isinstance(check, LocalGatewayCheck):
                self._learned |= {
                    (check.node, rule.table) for rule in self._nodes[check.node].rules
                }
                for route in check.routes:
                    self._gateways[check.node, route.table] = check.title

    def node(self, name: str) -> Node | None:
        """A node; None for one that the plan has not."""
        return self._nodes.get(name)

    def title(self, name: str) -> str:
        """What a node stands for, without what its title says in brackets."""
        node = self._nodes.get(name)
        return (node.title.partition(" (")[0] if node else "") or name

    def vrf_table(self, node: str, interface: str) -> int | None:
        """The table of the VRF that an interface belongs to."""
        master = self._wiring.master(node, interface)
        return master.device.table if master and isinstance(master.device, Vrf) else None

    def table(self, node: str, decision: Decision) -> str:
        """The route table that decided."""
        table = decision.table
        if table is None:
            return ""
        if text := self._gateways.get((node, table)) or self._of_vpc(node, table):
            return text
        if (node, table) in self._learned and table != MAIN:
            return "routes learned by the VIF group"
        return self._of_kernel(node, table)

    def _of_kernel(self, node: str, table: int) -> str:
        owner = self._nodes.get(node)
        if table == MAIN and owner and owner.role == Role.VPC_ROUTER:
            return "the VPC's local route"
        for interface in owner.interfaces if owner else ():
            if isinstance(interface.device, Vrf) and interface.device.table == table:
                return f"VRF {interface.name}"
        return {MAIN: "table main", LOCAL: "table local"}.get(table, f"table {table}")

    def _of_vpc(self, node: str, table: int) -> str | None:
        """VPC route tables have the same number at each of the VPC's routers."""
        owner = self._nodes.get(node)
        if owner is None or owner.role != Role.VPC_ROUTER:
            return None
        for (vpc, number), text in self._vpc_tables.items():
            if number == table and node.endswith(f".vpc-{vpc}"):
                return text
        return None

    def route(self, node: str, decision: Decision, destination: str) -> str:
        """The decision about a packet for `destination` in one line."""
        table = self.table(node, decision)
        if decision.leads:
            via = f" via {decision.via}" if decision.via else ""
            learned = f", {decision.protocol}" if decision.protocol in DAEMONS else ""
            return f"{table}: {decision.destination}{via} dev {decision.dev}{learned}"
        if decision.type == "local":
            return "for this node"
        return (
            f"{table}: {_refusal(decision, destination)}"
            if table
            else _refusal(decision, destination)
        )

    def tunnel(self, node: str, interface: str, address: str) -> str | None:
        """The tunnel that an interface is the end of; `address` is the packet's far one."""
        device = self._wiring.device(node, interface)
        if isinstance(device, Vxlan):
            return f"VXLAN VNI {device.vni}"
        if isinstance(device, WireGuard):
            far = [peer.name for peer in device.peers if _reaches(peer, address)]
            return f"WireGuard peer {far[0]}" if far else "WireGuard"
        return None


def _refusal(decision: Decision, destination: str) -> str:
    """Why a packet has no way on."""
    if decision.type == "unknown":
        return "the kernel could not say where it goes"
    if decision.type == "no route":
        return f"no route to {destination}"
    if decision.type == MARTIAN:
        return "the kernel refuses its source address there: it belongs to this node, or to no host"
    if decision.type == "reverse path":
        return "the path back to its source is a different one (rp_filter)"
    if decision.destination is None:
        return f"no route to {destination} (rule {decision.rule} {decision.type})"
    return f"no route to {destination} ({decision.type} {decision.destination})"


def _reaches(peer: WireGuardPeer, address: str) -> bool:
    return any(ip_address(address) in ip_network(prefix) for prefix in peer.allowed_ips)
