"""Faults of an Outpost's service link and of the Region's endpoint."""

from __future__ import annotations

from testbed.errors import UsageError
from testbed.faults.editing import Editing, Target, chain
from testbed.faults.link import QUALITY, add_netem
from testbed.faults.registry import QUEUES, RULES, kind, number, text
from testbed.faults.values import Parameter
from testbed.plan.checks import ManagementCheck
from testbed.plan.model import Fault, Veth, WireGuard
from testbed.plan.roles import REGION, Role

PORT = 443  # of the tunnels, UDP, and of the management channel, TCP (facts: S4)
TUNNEL = Parameter(
    "tunnel", "number", "only this tunnel, 1 or 2", lowest=1, highest=2, narrows=True
)


def _router(edit: Editing, outpost: str) -> str:
    """The node in which the Outpost's tunnels end."""
    return next(n.name for n in edit.nodes() if n.role == Role.SERVICE_LINK and n.group == outpost)


def _ports(edit: Editing, outpost: str, tunnel: int) -> list[str]:
    """The router's interfaces towards the servers that open the tunnels: all, or one's."""
    router = edit.original(_router(edit, outpost))
    sockets = [i.device.socket_node for i in router.interfaces if isinstance(i.device, WireGuard)]
    if tunnel > len(sockets):
        raise UsageError(f"{outpost} has {len(sockets)} tunnels, not {tunnel}")
    servers = sockets[tunnel - 1 : tunnel] if tunnel else sockets
    return [
        interface.name
        for interface in router.interfaces
        if isinstance(interface.device, Veth) and interface.device.peer_node in servers
    ]


def _both_ways(ports: list[str], *matches: tuple[str, str]) -> list[str]:
    """Rules that drop what servers send (first of each pair) and are sent (second)."""
    names = ", ".join(f'"{port}"' for port in ports)
    return [
        rule
        for sent, received in matches
        for rule in (
            f"iifname {{ {names} }} {sent}drop",
            f"oifname {{ {names} }} {received}drop",
        )
    ]


@kind(
    "service-link-cut",
    "the service link, or one tunnel, is cut silently",
    "outpost",
    parameters=(TUNNEL,),
    rank=RULES,
)
def service_link_cut(edit: Editing, target: Target, fault: Fault) -> None:
    """Drop everything between the Outpost's servers and the Region, or one tunnel's packets."""
    tunnel = int(number(fault, "tunnel"))
    ports = _ports(edit, target.outpost, tunnel)
    what = (f"udp sport {PORT} ", f"udp dport {PORT} ") if tunnel else ("", "")
    body = chain("forward", *_both_ways(ports, what))
    edit.add_table(_router(edit, target.outpost), fault, body)


@kind(
    "service-link-slow",
    "the service link, or one tunnel, is slow or lossy in both directions",
    "outpost",
    parameters=(*(p for p in QUALITY if p.name in {"delay", "jitter", "loss", "rate"}), TUNNEL),
    rank=QUEUES,
    at_least_one=True,
    measured=True,
)
def service_link_slow(edit: Editing, target: Target, fault: Fault) -> None:
    """Add netem between the rack's service link router and its servers, at both ends."""
    for node, name in slow_ends(edit, target, fault):
        add_netem(edit, node, name, fault)


def slow_ends(edit: Editing, target: Target, fault: Fault) -> list[tuple[str, str]]:
    """The interfaces that a slow service link is made of."""
    router = _router(edit, target.outpost)
    ends = []
    for port in _ports(edit, target.outpost, int(number(fault, "tunnel"))):
        device = edit.original(router).interface(port).device
        assert isinstance(device, Veth)
        ends += [(router, port), (device.peer_node, device.peer)]
    return ends


@kind(
    "region-api-down",
    "the Region's endpoint (TCP 443) does not answer an Outpost, or any Outpost (region)",
    "outpost",
    "region",
    parameters=(
        Parameter(
            "action",
            "choice",
            "drop packets silently, or reject them with a RST",
            "drop",
            choices=("drop", "reject"),
        ),
    ),
    rank=RULES,
)
def region_api_down(edit: Editing, target: Target, fault: Fault) -> None:
    """Drop TCP 443 at the endpoint, or on its way from and to the Outpost's servers."""
    reject = text(fault, "action") == "reject"
    refuse = "reject with tcp reset" if reject else "drop"
    if target.outpost == REGION:
        checks = edit.base.checks
        for name in dict.fromkeys(c.node for c in checks if isinstance(c, ManagementCheck)):
            body = chain("input", f"tcp dport {PORT} {refuse}")
            body += chain("output", f"tcp sport {PORT} {refuse}")
            edit.add_table(name, fault, body)
        return
    names = ", ".join(f'"{port}"' for port in _ports(edit, target.outpost, 0))
    rules = [f"iifname {{ {names} }} tcp dport {PORT} {refuse}"]
    rules.append(f"oifname {{ {names} }} tcp sport {PORT} {refuse}")
    edit.add_table(_router(edit, target.outpost), fault, chain("forward", *rules))
