"""BGP routers in neutral terms, rendered for BIRD or FRR.

A `Router` says which sessions a node has in which VRF, what it originates
and what it lets in and out. `configure` turns it into configuration files,
processes and readiness checks of the daemon that the node runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from testbed.lower import names
from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.templating import environment
from testbed.plan.checks import BgpCheck
from testbed.plan.model import TABLE_MAIN, Process
from testbed.topology.model import Daemon

HOLD_S = 90  # Direct Connect's; AWS documents no timers for Outposts (docs/fidelity.md)
KEEPALIVE_S = 30
PROPAGATED_LIMIT = 100  # propagated routes of a VPC route table (facts: V limits)
# By community, lowest first: AWS evaluates them before the AS path (AWS: Direct Connect routing
# policies). Without one a route counts as medium (docs/fidelity.md).
LOCAL_PREFERENCE = (((7224, 7100), 50), ((7224, 7200), 100), ((7224, 7300), 150))
BFD_MS = 300  # Direct Connect's, with multiplier 3
BFD_MULTIPLIER = 3


@dataclass(frozen=True, slots=True)
class Export:
    """A prefix that may be announced, with the own AS prepended `prepend` more times.

    It carries the `communities` (BIRD only).
    """

    prefix: IPv4Network
    prepend: int = 0
    communities: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """A BGP session with a directly connected neighbour.

    `exports` None announces everything in the VRF's table; `imports` None
    accepts everything, but for what is inside `rejects`. `preference` is the
    local preference of what comes in (BIRD only), `outside` says that the
    interface is not in the VRF. More than `limit`
    prefixes take the session down. With `reflect`, what iBGP brings is passed
    on to this neighbour. `hold_s` 0: it is never taken for dead. With `by_community`
    the communities LOCAL_PREFERENCE that come with a route choose its local preference.
    """

    name: str
    interface: str
    local: IPv4Address
    neighbor: IPv4Address
    remote_asn: int
    title: str
    exports: tuple[Export, ...] | None = None
    imports: tuple[IPv4Network, ...] | None = None
    bfd: bool = False
    preference: int | None = None
    outside: bool = False
    rejects: tuple[IPv4Network, ...] = ()
    limit: int | None = None
    reflect: bool = False
    hold_s: int = HOLD_S
    by_community: bool = False


@dataclass(frozen=True, slots=True)
class Instance:
    """The routing instance of one VRF: kernel `table`, own ASN, sessions, what it originates.

    `connected` are interfaces whose subnets are announced, `static` are
    prefixes that are announced whether or not there is anything behind them;
    what of them has no route is unreachable, unless `install_static` is false.
    What is learned is `propagated` to further kernel tables, at most
    PROPAGATED_LIMIT prefixes to each. BIRD only: those, no kernel table of its
    own (None), only what the sessions `installed_from` bring in it, and the
    sessions' `rejects`, `limit`, `reflect`, `hold_s` and `by_community`.
    """

    name: str
    vrf: str | None
    table: int | None
    asn: int
    sessions: tuple[Session, ...]
    connected: tuple[tuple[str, IPv4Network], ...] = ()
    static: tuple[IPv4Network, ...] = ()
    install_static: bool = True
    installed_from: tuple[str, ...] | None = None
    propagated: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Router:
    """A BGP router with one routing instance for each VRF."""

    router_id: IPv4Address
    instances: tuple[Instance, ...]

    @property
    def propagated(self) -> list[int]:
        """All kernel tables that something is propagated to."""
        return sorted({table for instance in self.instances for table in instance.propagated})

    @property
    def bfd(self) -> bool:
        """Whether any session asks for BFD."""
        return any(session.bfd for instance in self.instances for session in instance.sessions)


environment.filters["symbol"] = names.symbol
environment.globals.update(
    hold=HOLD_S,
    keepalive=KEEPALIVE_S,
    propagated_limit=PROPAGATED_LIMIT,
    local_preference=LOCAL_PREFERENCE,
    bfd_ms=BFD_MS,
    bfd_multiplier=BFD_MULTIPLIER,
    main_table=TABLE_MAIN,
)


def _render(template: str, router: Router, node: NodeDraft) -> str:
    return environment.get_template(template).render(router=router, node=node)


def configure(
    draft: Draft,
    node: NodeDraft,
    router: Router,
    *,
    daemon: Daemon = "bird",
    config: str | None = None,
) -> None:
    """Give `node` the files, processes and checks of a BGP router.

    `config` is a complete configuration that replaces the generated one; its
    sessions have names of its own, so that no checks are added on this side. A node keeps the
    router ID that it had: with another one a daemon begins all its sessions anew.
    """
    number = draft.numbers.claim("router-id", node.name, first=int(router.router_id))
    router = replace(router, router_id=IPv4Address(number))
    if daemon == "bird":
        _configure_bird(node, config or _render("bird.conf.j2", router, node))
    else:
        _configure_frr(node, router, config)
    if config:
        return
    for instance in router.instances:
        for session in instance.sessions:
            name = session.name if daemon == "bird" else f"{instance.vrf or 'default'}"
            draft.checks.append(
                BgpCheck(
                    node=node.name,
                    daemon=daemon,
                    protocol=names.symbol(name) if daemon == "bird" else name,
                    neighbor=str(session.neighbor),
                    title=session.title,
                )
            )


def _configure_bird(node: NodeDraft, text: str) -> None:
    directory = f"/run/node/{node.name}"
    node.files["bird.conf"] = text
    argv = ("bird", "-f", "-c", f"{directory}/bird.conf", "-s", f"{directory}/bird.ctl")
    node.processes.append(Process("bird", argv, files=("bird.conf",), reload="bird"))


def _configure_frr(node: NodeDraft, router: Router, config: str | None) -> None:
    """One configuration file per daemon: a block for another daemon would make it lose its own."""
    directory = f"/run/node/{node.name}"
    node.files["zebra.conf"] = _render("zebra.conf.j2", router, node)
    node.files["bgpd.conf"] = config or _render("bgpd.conf.j2", router, node)
    daemons = ["zebra", "bgpd"]
    if router.bfd:
        node.files["bfdd.conf"] = _render("bfdd.conf.j2", router, node)
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
        if daemon == "bgpd" and router.bfd:
            after += ("bfdd.vty",)
        node.processes.append(Process(daemon, argv, files=(f"{daemon}.conf",), after=after))
