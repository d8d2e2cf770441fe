"""BGP routers as data: what a node's daemon does, before it is written in the daemon's language.

`testbed.plan.bird` and `testbed.plan.frr` write it. Faults change the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HOLD_S = 90  # Direct Connect's; AWS documents no timers for Outposts (docs/fidelity.md)
KEEPALIVE_S = 30
BFD_MS = 300  # Direct Connect's, with multiplier 3
BFD_MULTIPLIER = 3
PROPAGATED_LIMIT = 100  # propagated routes of a VPC route table (facts: V limits)
PATHS = 16  # of equal cost to one destination
RESTART_S = 120  # what BIRD and FRR announce

GracefulRestart = Literal["restart", "helper", "off"]

DaemonName = Literal["bird", "frr"]


@dataclass(frozen=True, slots=True)
class PrefixRange:
    """Prefixes within `network` of a length from `shortest` to `longest`; 0, 0: itself alone."""

    network: str
    shortest: int = 0
    longest: int = 0

    @property
    def length(self) -> int:
        """The network's own prefix length."""
        return int(self.network.partition("/")[2])


@dataclass(frozen=True, slots=True)
class Term:
    """An entry of a policy: what becomes of the routes that it is about.

    Those are within one of `prefixes` and carry one of `communities`, where there are any.
    `prepend` is how often the own AS is put before the path, beside the once that every eBGP
    session does. After "continue" the next entries decide.
    """

    prefixes: tuple[PrefixRange, ...] = ()
    communities: tuple[str, ...] = ()
    action: Literal["accept", "reject", "continue"] = "accept"
    prepend: int = 0
    preference: int | None = None
    med: int | None = None
    add_communities: tuple[str, ...] = ()


Policy = tuple[Term, ...]
"""What no entry accepts is rejected."""

EVERYTHING: Policy = (Term(),)
DRAINED_PREPEND = 3  # path length 4 in all (facts: R1, R2)
DRAINED_PREFERENCE = 50  # less than BGP's default of 100: what the other OND has is preferred
DRAINED: Policy = (Term(preference=DRAINED_PREFERENCE),)


def is_total(policy: Policy) -> bool:
    """Whether the last entry decides about all that is left."""
    last = policy[-1] if policy else Term(action="continue")
    return last.action != "continue" and not last.prefixes and not last.communities


def only(*networks: object, prepend: int = 0, communities: tuple[str, ...] = ()) -> Policy:
    """Accept these very prefixes, with so many more hops and these communities."""
    return tuple(
        Term((PrefixRange(str(network)),), prepend=prepend, add_communities=communities)
        for network in networks
    )


def all_but(network: object) -> Policy:
    """Accept what is not inside `network`."""
    inside = PrefixRange(str(network), longest=32)
    return Term((inside,), action="reject"), *EVERYTHING


@dataclass(frozen=True, slots=True)
class Bfd:
    """BFD for a session, one hop away (RFC 5881)."""

    interval_ms: int = BFD_MS
    multiplier: int = BFD_MULTIPLIER


@dataclass(frozen=True, slots=True)
class Session:
    """A BGP session with a directly connected neighbour.

    `exports` None announces everything in the VRF's table, `imports` None
    accepts everything. `local_asn` is used instead of the instance's. `outside` says that the
    interface is not in the VRF. More than `limit` prefixes take the session
    down. With `reflect`, what iBGP brings is passed on to this neighbour.
    `hold_s` 0: it is never taken for dead. With a `password` segments are signed (RFC 2385),
    with `ttl_security` only packets with TTL 255 count (RFC 5082). `own_as_allowed` is how often
    the own AS may be in a path that comes. Of what is announced the neighbour's AS becomes the own
    one with `as_override`, and other private ones are taken out with `remove_private_as`.
    `default_route` is announced, whether there is one or not.
    """

    name: str
    interface: str
    local: str
    neighbor: str
    remote_asn: int
    title: str
    exports: Policy | None = None
    imports: Policy | None = None
    bfd: Bfd | None = None
    outside: bool = False
    limit: int | None = None
    reflect: bool = False
    hold_s: int = HOLD_S
    keepalive_s: int = KEEPALIVE_S
    local_asn: int | None = None
    password: str = ""
    ttl_security: bool = False
    graceful_restart: GracefulRestart = "helper"
    own_as_allowed: int = 0
    as_override: bool = False
    remove_private_as: bool = False
    default_route: bool = False


@dataclass(frozen=True, slots=True)
class Instance:
    """The routing instance of one VRF: kernel `table`, own ASN, sessions, what it originates.

    `connected` are (interface, subnet) that are announced, `static` are
    prefixes that are announced whether or not there is anything behind them;
    what of them has no route is unreachable, unless `install_static` is false. `fallbacks` are
    such prefixes, where there is no other route to them.
    What is learned is `propagated` to further kernel tables, at most
    PROPAGATED_LIMIT prefixes to each. BIRD only: those, no kernel table of its
    own (None), and only what the sessions `installed_from` bring in it.
    """

    name: str
    vrf: str | None
    table: int | None
    asn: int
    sessions: tuple[Session, ...]
    connected: tuple[tuple[str, str], ...] = ()
    static: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()
    install_static: bool = True
    installed_from: tuple[str, ...] | None = None
    propagated: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Router:
    """A BGP router with one routing instance for each VRF, and the daemon that it runs.

    Neighbours are told that it is back from a graceful restart within `restart_s`.
    """

    router_id: str
    instances: tuple[Instance, ...]
    daemon: DaemonName = "bird"
    restart_s: int = RESTART_S

    @property
    def propagated(self) -> list[int]:
        """All kernel tables that something is propagated to."""
        return sorted({table for instance in self.instances for table in instance.propagated})

    @property
    def bfd(self) -> bool:
        """Whether any session asks for BFD."""
        return any(session.bfd for instance in self.instances for session in instance.sessions)
