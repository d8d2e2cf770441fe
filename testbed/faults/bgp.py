"""Faults of BGP: sessions that end or don't come up, routes that are missing or too many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from testbed.errors import UsageError
from testbed.faults.bird_text import BirdText
from testbed.faults.editing import Editing, Target, chain
from testbed.faults.frr_text import FrrText
from testbed.faults.registry import (
    CONFIGURATION,
    DRAINS,
    LEAKS,
    RULES,
    WITHDRAWALS,
    kind,
    number,
    text,
)
from testbed.faults.routers import RouterData
from testbed.faults.values import Parameter
from testbed.plan import bgp, bird, frr
from testbed.plan.effective import network_of
from testbed.plan.model import Abort, Fault, Node
from testbed.plan.roles import Role

Speaker = RouterData | BirdText | FrrText
PORT = 179


def speaker_of(node: Node) -> Speaker:
    """What the node's BGP daemon is configured to do; UsageError when it runs none."""
    if node.router:
        return RouterData(node.router)
    if bird.FILE in node.files:
        return BirdText(node.files[bird.FILE])
    if frr.FILE in node.files:
        return FrrText(node.files[frr.FILE])
    raise UsageError(f"{node.name} does not speak BGP", hint="testbed inspect shows what it runs")


def runs_frr(node: Node) -> bool:
    """Whether the node's BGP daemon is FRR's."""
    return node.router.daemon == "frr" if node.router else frr.FILE in node.files


def reconfigure(edit: Editing, target: Target, change: Callable[[Speaker, str], None]) -> Speaker:
    """Change what the daemon's configuration says of each of the targeted sessions."""
    speaker = speaker_of(edit.node(target.node))
    for neighbor in neighbors_of(edit, target):
        change(speaker, neighbor)
    if isinstance(speaker, RouterData):
        edit.change(target.node, router=speaker.router)
    else:
        edit.change_file(target.node, speaker.file, speaker.text)
    return speaker


def _networks(edit: Editing, target: Target) -> tuple[str, ...]:
    """The IPv4 subnets of the targeted interface; none for a whole node."""
    if not target.interface:
        return ()
    addresses = edit.original(target.node).interface(target.interface).addresses
    networks = tuple(address for address in addresses if ":" not in address)
    if not networks:
        raise UsageError(
            f"{target.text} has no address", hint="target the VLAN or port of a session"
        )
    return networks


def neighbors_of(edit: Editing, target: Target) -> list[str]:
    """The neighbours of the sessions that are targeted: a node's, or those over an interface."""
    speaker = speaker_of(edit.original(target.node))
    networks = [network_of(address) for address in _networks(edit, target)]
    found = [
        neighbor
        for neighbor in speaker.neighbors()
        if not target.interface
        or any(network_of(f"{neighbor}/{net[1]}")[:2] == net[:2] for net in networks)
    ]
    if not found:
        raise UsageError(f"there is no BGP session over {target.text}")
    return found


def _subnet(address: str) -> str:
    network, length, width = network_of(address)
    number = network << (width - length)
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0)) + f"/{length}"


def _session_rules(edit: Editing, target: Target, verdict: str) -> str:
    """A table's chains with the verdict on TCP 179 of the sessions, both ways."""
    within = [
        f"ip saddr {subnet} ip daddr {subnet} " for subnet in map(_subnet, _networks(edit, target))
    ]
    rules = [
        f"{where}tcp {port} {PORT} {verdict}"
        for where in within or [""]
        for port in ("sport", "dport")
    ]
    return chain("input", *rules) + chain("output", *rules)


@kind(
    "bgp-reset",
    "the BGP sessions of a node, or those over an interface, get a TCP reset",
    "node",
    "interface",
    rank=RULES,
    lasts_s=1.0,
)
def bgp_reset(edit: Editing, target: Target, fault: Fault) -> None:
    """Reset the connections (both ends see a RST) and refuse new ones meanwhile."""
    neighbors_of(edit, target)
    body = _session_rules(edit, target, "reject with tcp reset")
    edit.add_table(target.node, fault, body)
    subnets = tuple(map(_subnet, _networks(edit, target)))
    aborts = edit.node(target.node).aborts
    edit.change(target.node, aborts=(*aborts, Abort(fault.name, PORT, subnets)))


@kind(
    "bgp-blocked",
    "TCP 179 is dropped at a node, or on an interface",
    "node",
    "interface",
    rank=RULES,
)
def bgp_blocked(edit: Editing, target: Target, fault: Fault) -> None:
    """Drop the sessions' packets both ways: they end when their hold time is over."""
    neighbors_of(edit, target)
    edit.add_table(target.node, fault, _session_rules(edit, target, "drop"))


@kind(
    "bgp-wrong-asn",
    "a session is configured with a wrong AS number on this side",
    "node",
    "interface",
    parameters=(
        Parameter(
            "side",
            "choice",
            "whose AS number is wrong: the neighbour's (remote) or its own (local)",
            "remote",
            choices=("remote", "local"),
        ),
        Parameter(
            "asn",
            "number",
            "the wrong AS number [the right one plus 1]",
            lowest=1,
            highest=4294967294,
        ),
    ),
    rank=CONFIGURATION,
)
def bgp_wrong_asn(edit: Editing, target: Target, fault: Fault) -> None:
    """Change the AS number in the daemon's configuration."""
    right = speaker_of(edit.original(target.node))
    local = text(fault, "side") == "local"

    def change(speaker: Speaker, neighbor: str) -> None:
        wrong = int(number(fault, "asn")) or right.asns(neighbor)[not local] + 1
        if local:
            speaker.set_local_asn(neighbor, wrong)
        else:
            speaker.set_remote_asn(neighbor, wrong)

    reconfigure(edit, target, change)


def _ipv4(prefix: str) -> str:
    if ":" in prefix:
        raise UsageError(f"{prefix}: BGP carries only IPv4 here")
    return prefix


@kind(
    "route-withdrawn",
    "a prefix, or every one, is no longer announced, on all sessions or those of an interface",
    "node",
    "interface",
    parameters=(Parameter("prefix", "prefix", "the prefix that is withdrawn [every one]"),),
    rank=WITHDRAWALS,
)
def route_withdrawn(edit: Editing, target: Target, fault: Fault) -> None:
    """Reject the prefix in the sessions' export filters."""
    prefix = _ipv4(text(fault, "prefix"))
    reconfigure(edit, target, lambda speaker, neighbor: speaker.withdraw(neighbor, prefix))


@kind(
    "route-leaked",
    "a prefix is announced that should not be, on all sessions or those of an interface",
    "node",
    "interface",
    parameters=(Parameter("prefix", "prefix", "the prefix that is announced", required=True),),
    rank=LEAKS,
)
def route_leaked(edit: Editing, target: Target, fault: Fault) -> None:
    """Accept the prefix in the sessions' export filters, and have a route to announce.

    Sessions of the same routing table that have no export filter announce it, too.
    """
    prefix = _ipv4(text(fault, "prefix"))
    reconfigure(edit, target, lambda speaker, neighbor: speaker.announce(neighbor, prefix))


@kind(
    "device-drained",
    "a device moves traffic away from itself with longer AS paths, as for maintenance",
    "node",
    rank=DRAINS,
)
def device_drained(edit: Editing, target: Target, _: Fault) -> None:
    """Prepend on all sessions of a customer's device; an OND as AWS does it."""
    if edit.original(target.node).role == Role.NETWORKING_DEVICE:
        _drain_ond(edit, target.node)
        return
    hops = bgp.DRAINED_PREPEND
    reconfigure(edit, target, lambda speaker, neighbor: speaker.prepend(neighbor, hops))


def _drain_ond(edit: Editing, name: str) -> None:
    """What `drained` in a topology does: see testbed.lower.rack."""
    group = edit.original(name).group
    drained = {fault.target for fault in edit.faults if fault.kind == "device-drained"}
    for node in edit.nodes():
        if node.role != Role.NETWORKING_DEVICE or node.group != group:
            continue
        if node.name == name:
            _edit_uplinks(edit, name, bgp.DRAINED_PREPEND, bgp.DRAINED)
        elif node.name not in drained and not _is_drained(node):
            _edit_uplinks(edit, node.name, 0, None)


def _uplinks(router: bgp.Router | None) -> list[bgp.Session]:
    """The sessions with customer devices."""
    instances = router.instances if router else ()
    return [s for i in instances for s in i.sessions if s.remote_asn != i.asn]


def _is_drained(node: Node) -> bool:
    return any(session.imports == bgp.DRAINED for session in _uplinks(node.router))


def _edit_uplinks(edit: Editing, name: str, prepend: int, imports: bgp.Policy | None) -> None:
    """Announce everything towards the customer with so many more hops."""
    router = edit.node(name).router
    assert router is not None
    speaker = RouterData(router)
    for session in _uplinks(router):
        exports = tuple(
            replace(term, prepend=prepend) if term.action == "accept" else term
            for term in session.exports or ()
        )
        speaker.set(session.neighbor, exports=exports, imports=imports or session.imports)
    edit.change(name, router=speaker.router)
