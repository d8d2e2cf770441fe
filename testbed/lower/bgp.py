"""What a node gets that is a BGP router: its data, its daemons, and the checks of its sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from testbed.faults.editing import chain
from testbed.lower.builder import Draft, NodeDraft
from testbed.plan import bird, frr
from testbed.plan.bgp import (
    DRAINED,
    DRAINED_PREPEND,
    EVERYTHING,
    Bfd,
    Instance,
    Policy,
    PrefixRange,
    Router,
    Session,
    Term,
    all_but,
    only,
)
from testbed.plan.checks import BgpCheck
from testbed.plan.frr import unsigned_refused
from testbed.plan.model import Process

__all__ = [
    "BY_COMMUNITY",
    "DRAINED",
    "DRAINED_PREPEND",
    "EVERYTHING",
    "Bfd",
    "Instance",
    "Policy",
    "PrefixRange",
    "Router",
    "Session",
    "Term",
    "all_but",
    "configure",
    "only",
]

# By community, lowest first: AWS evaluates them before the AS path (AWS: Direct Connect routing
# policies). Without one a route counts as medium (docs/fidelity.md).
LOCAL_PREFERENCE = {"7224:7100": 50, "7224:7200": 100, "7224:7300": 150}
BY_COMMUNITY: Policy = (
    tuple(
        Term(communities=(community,), action="continue", preference=preference)
        for community, preference in LOCAL_PREFERENCE.items()
    )
    + EVERYTHING
)
"""The communities that come with a route choose its local preference."""
ZEBRA = """\
! The kernel takes nexthop groups away with an interface; zebra goes on to use them.
no zebra nexthop kernel enable
"""


def configure(draft: Draft, node: NodeDraft, router: Router) -> None:
    """Give `node` the data, processes and checks of a BGP router.

    A node keeps the router ID that it had: with another one a daemon begins all its sessions anew.
    """
    first = int(IPv4Address(router.router_id))
    number = draft.numbers.claim("router-id", node.name, first=first)
    if router.daemon == "bird":
        run_bird(node)
    else:
        _configure_frr(node, bfd=router.bfd)
    node.router = replace(router, router_id=str(IPv4Address(number)))
    signed = [s.neighbor for i in router.instances for s in i.sessions if s.password]
    if signed and router.daemon == "frr":
        refused = chain("input", *unsigned_refused(signed))
        node.nftables += f"table inet bgp_signed {{\n{refused}}}\n"
    for instance in router.instances:
        for session in instance.sessions:
            own = bird.symbol(session.name) if router.daemon == "bird" else instance.vrf
            draft.checks.append(
                BgpCheck(
                    node=node.name,
                    daemon=router.daemon,
                    protocol=own or "default",
                    neighbor=session.neighbor,
                    title=session.title,
                )
            )


def run_bird(node: NodeDraft) -> None:
    """Have `node` run BIRD."""
    directory = f"/run/node/{node.name}"
    argv = ("bird", "-f", "-c", f"{directory}/{bird.FILE}", "-s", f"{directory}/bird.ctl")
    node.processes.append(Process("bird", argv, files=(bird.FILE,), reload="bird"))


def _configure_frr(node: NodeDraft, *, bfd: bool) -> None:
    header = frr.header(node.name, node.title)
    node.files["zebra.conf"] = header + ZEBRA
    if bfd:
        node.files["bfdd.conf"] = header
    run_frr(node, ["zebra", *(["bfdd"] if bfd else []), "bgpd"])


def run_frr(node: NodeDraft, daemons: Sequence[str]) -> None:
    """Have `node` run FRR's daemons, zebra first, each with a configuration file of its own.

    A block for another daemon would make it lose its own.
    """
    directory = f"/run/node/{node.name}"
    for daemon in daemons:
        argv: tuple[str, ...] = (
            daemon,
            *("-f", f"{directory}/{daemon}.conf", "-i", f"{directory}/{daemon}.pid"),
            *("-z", f"{directory}/zserv.api", "--vty_socket", directory),
            *("-P", "0", "--log", "stdout"),
        )
        if daemon == "bfdd":
            argv += ("--bfdctl", f"{directory}/bfdd.sock")
        # A daemon that does not find zebra tries again only after ten seconds.
        after: tuple[str, ...] = () if daemon == "zebra" else ("zserv.api",)
        if daemon == "bgpd" and "bfdd" in daemons:
            after += ("bfdd.vty",)
        node.processes.append(Process(daemon, argv, files=(f"{daemon}.conf",), after=after))
