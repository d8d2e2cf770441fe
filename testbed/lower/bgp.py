"""What a node gets that is a BGP router: its data, its daemons, and the checks of its sessions."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

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


def configure(draft: Draft, node: NodeDraft, router: Router, *, config: str | None = None) -> None:
    """Give `node` the data, processes and checks of a BGP router.

    `config` is a complete configuration that replaces the generated one; its
    sessions have names of its own, so that no checks are added on this side. A node keeps the
    router ID that it had: with another one a daemon begins all its sessions anew.
    """
    first = int(IPv4Address(router.router_id))
    number = draft.numbers.claim("router-id", node.name, first=first)
    add = _add_bird if router.daemon == "bird" else _add_frr
    add(node, bfd=router.bfd)
    if config:
        node.files[bird.FILE if router.daemon == "bird" else frr.FILE] = config
        return
    node.router = replace(router, router_id=str(IPv4Address(number)))
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


def _add_bird(node: NodeDraft, *, bfd: bool) -> None:
    _ = bfd  # a part of BIRD itself
    directory = f"/run/node/{node.name}"
    argv = ("bird", "-f", "-c", f"{directory}/{bird.FILE}", "-s", f"{directory}/bird.ctl")
    node.processes.append(Process("bird", argv, files=(bird.FILE,), reload="bird"))


def _add_frr(node: NodeDraft, *, bfd: bool) -> None:
    """One configuration file per daemon: a block for another daemon would make it lose its own."""
    directory = f"/run/node/{node.name}"
    header = frr.header(node.name, node.title)
    node.files["zebra.conf"] = header + ZEBRA
    daemons = ["zebra", "bgpd"]
    if bfd:
        node.files["bfdd.conf"] = header
        daemons.insert(1, "bfdd")
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
        if daemon == "bgpd" and bfd:
            after += ("bfdd.vty",)
        node.processes.append(Process(daemon, argv, files=(f"{daemon}.conf",), after=after))
