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


def _tunnels(edit: Editing, outpost: str, tunnel: int) -> list[WireGuard]:
    """The Outpost's tunnels: all, or one."""
    router = edit.original(_router(edit, outpost))
    found = [i.device for i in router.interfaces if isinstance(i.device, WireGuard)]
    if tunnel > len(found):
        raise UsageError(f"{outpost} has {len(found)} tunnels, not {tunnel}")
    return found[tunnel - 1 : tunnel] if tunnel else found


def _is_server(edit: Editing, outpost: str) -> bool:
    """Whether it is an Outposts server, which opens its tunnels by itself, out of one port."""
    router = _router(edit, outpost)
    return all(tunnel.socket_node == router for tunnel in _tunnels(edit, outpost, 0))


def _ports(edit: Editing, outpost: str, tunnel: int) -> list[str]:
    """The interfaces that the tunnels go by: a rack's towards its servers, a server's port."""
    router = edit.original(_router(edit, outpost))
    if _is_server(edit, outpost):
        return [i.name for i in router.interfaces if isinstance(i.device, Veth)]
    servers = [device.socket_node for device in _tunnels(edit, outpost, tunnel)]
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
    if _is_server(edit, target.outpost):
        own = [t.listen_port for t in _tunnels(edit, target.outpost, tunnel)]
        body = _at_a_server(ports, own, "drop", management=not tunnel)
    else:
        what = (f"udp sport {PORT} ", f"udp dport {PORT} ") if tunnel else ("", "")
        body = chain("forward", *_both_ways(ports, what))
    edit.add_table(_router(edit, target.outpost), fault, body)


def _at_a_server(ports: list[str], own: list[int], verdict: str, *, management: bool) -> str:
    """Chains that refuse a server its tunnels, by their own ports, and the management channel."""
    (port,) = ports
    out, back = [], []
    for local in own:
        out.append(f'oifname "{port}" udp sport {local} udp dport {PORT} {verdict}')
        back.append(f'iifname "{port}" udp sport {PORT} udp dport {local} {verdict}')
    if management:
        out.append(f'oifname "{port}" tcp dport {PORT} {verdict}')
        back.append(f'iifname "{port}" tcp sport {PORT} {verdict}')
    return chain("output", *out) + chain("input", *back)


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
    """Add netem between a rack's service link router and its servers, or at a server's port."""
    for node, name in slow_ends(edit, target, fault):
        add_netem(edit, node, name, fault)


def slow_ends(edit: Editing, target: Target, fault: Fault) -> list[tuple[str, str]]:
    """The interfaces that a slow service link is made of."""
    router = _router(edit, target.outpost)
    tunnel = int(number(fault, "tunnel"))
    if tunnel and _is_server(edit, target.outpost):
        raise UsageError(f"both tunnels of {target.outpost} go by one port: leave out --tunnel")
    ends = []
    for port in _ports(edit, target.outpost, tunnel):
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
    ports = _ports(edit, target.outpost, 0)
    if _is_server(edit, target.outpost):
        body = _at_a_server(ports, [], refuse, management=True)
        edit.add_table(_router(edit, target.outpost), fault, body)
        return
    names = ", ".join(f'"{port}"' for port in ports)
    rules = [f"iifname {{ {names} }} tcp dport {PORT} {refuse}"]
    rules.append(f"oifname {{ {names} }} tcp sport {PORT} {refuse}")
    edit.add_table(_router(edit, target.outpost), fault, chain("forward", *rules))
