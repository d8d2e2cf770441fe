"""A BGP router in the language of FRR's bgpd (https://docs.frrouting.org/en/latest/bgp.html)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.plan.bgp import PATHS, RESTART_S, is_total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from testbed.plan.bgp import Instance, Policy, PrefixRange, Router, Session, Term

FILE = "bgpd.conf"
UNSIGNED = "tcp dport 179 tcp flags syn / syn,ack tcp option md5sig missing"


def unsigned_refused(neighbors: Iterable[str]) -> list[str]:
    """Return nftables rules that drop what neighbours send unsigned to open a session.

    bgpd tells the kernel of no key for the listening socket of a VRF that comes up after its
    configuration was read (FRR 8.4).
    """
    return [f"ip saddr {neighbor} {UNSIGNED} drop" for neighbor in neighbors]


def header(name: str, title: str) -> str:
    """Return how the configuration of each of FRR's daemons begins."""
    return f"! {title}\nhostname {name}\nlog stdout\n"


def render(router: Router, name: str, title: str) -> str:
    """Return bgpd's configuration."""
    lines: list[str] = []
    for instance in router.instances:
        for session in instance.sessions:
            for way, policy in (("out", session.exports), ("in", session.imports)):
                if policy is not None:
                    lines += _route_map(f"{session.name}-{way}", policy, instance.asn)
    for instance in router.instances:
        lines += _instance(router, instance)
    return header(name, title) + "\n".join([*lines, ""])


def _route_map(name: str, policy: Policy, asn: int) -> Iterator[str]:
    for number, term in enumerate(policy, 1):
        for index, entry in enumerate(term.prefixes, 1):
            seq = f"seq {index * 5} permit {_prefixes(entry)}"
            yield f"ip prefix-list {name}-{number} {seq}"
        for community in term.communities:
            yield f"bgp community-list standard {name}-{number} permit {community}"
        yield f"route-map {name} {'deny' if term.action == 'reject' else 'permit'} {number * 10}"
        yield from _entry(f"{name}-{number}", term, asn)
        yield "exit"
    if not is_total(policy):  # what has gone on from a "continue" would be let through
        yield from (f"route-map {name} deny {(len(policy) + 1) * 10}", "exit")


def _prefixes(entry: PrefixRange) -> str:
    lengths = ""
    if entry.longest:
        shortest = entry.shortest > entry.length
        lengths = f" ge {entry.shortest}" if shortest else ""
        lengths += f" le {entry.longest}" if entry.longest > entry.length else ""
    return f"{entry.network}{lengths}"


def _entry(matched: str, term: Term, asn: int) -> Iterator[str]:
    if term.prefixes:
        yield f" match ip address prefix-list {matched}"
    if term.communities:
        yield f" match community {matched}"
    if term.prepend:
        yield f" set as-path prepend {' '.join([str(asn)] * term.prepend)}"
    if term.preference is not None:
        yield f" set local-preference {term.preference}"
    if term.med is not None:
        yield f" set metric {term.med}"
    if term.add_communities:
        yield f" set community {' '.join(term.add_communities)} additive"
    if term.action == "continue":
        yield " on-match next"


def _instance(router: Router, instance: Instance) -> Iterator[str]:
    yield f"router bgp {instance.asn}{f' vrf {instance.vrf}' if instance.vrf else ''}"
    yield f" bgp router-id {router.router_id}"
    if router.restart_s != RESTART_S:
        yield f" bgp graceful-restart restart-time {router.restart_s}"
    yield " bgp log-neighbor-changes"
    yield " no bgp default ipv4-unicast"
    yield " no bgp ebgp-requires-policy"
    yield " no bgp network import-check"
    yield " bgp bestpath as-path multipath-relax"
    for session in instance.sessions:
        for words in _session(instance, session):
            yield f" neighbor {session.neighbor} {words}"
    yield " address-family ipv4 unicast"
    connected = (prefix for _, prefix in instance.connected)
    for prefix in dict.fromkeys((*connected, *instance.static, *instance.fallbacks)):
        yield f"  network {prefix}"
    yield f"  maximum-paths {PATHS}"
    yield f"  maximum-paths ibgp {PATHS}"
    for session in instance.sessions:
        for words in _activated(session):
            yield f"  neighbor {session.neighbor} {words}"
    yield " exit-address-family"
    yield "exit"


def _session(instance: Instance, session: Session) -> Iterator[str]:
    yield f"remote-as {session.remote_asn}"
    if session.local_asn not in {None, instance.asn}:
        yield f"local-as {session.local_asn} no-prepend replace-as"
    yield f"description {session.title}"
    yield f"timers {session.keepalive_s if session.hold_s else 0} {session.hold_s}"
    yield "timers connect 2"
    yield "advertisement-interval 0"
    if session.password:
        yield f"password {session.password}"
    if session.ttl_security:
        yield "ttl-security hops 1"
    if session.graceful_restart != "helper":
        mode = "graceful-restart"
        yield mode if session.graceful_restart == "restart" else f"{mode}-disable"
    if session.bfd:
        interval = session.bfd.interval_ms
        yield f"bfd {session.bfd.multiplier} {interval} {interval}"


def _activated(session: Session) -> Iterator[str]:
    """What is said of a session in the address family."""
    yield "activate"
    yield "next-hop-self"
    if session.reflect:
        yield "route-reflector-client"
    if session.limit:  # the least time until it begins anew, in minutes
        yield f"maximum-prefix {session.limit} restart 1"
    if session.own_as_allowed:
        yield f"allowas-in {session.own_as_allowed}"
    if session.as_override:
        yield "as-override"
    if session.remove_private_as:
        yield "remove-private-AS all"
    if session.default_route:
        yield "default-originate"
    if session.exports is not None:
        yield f"route-map {session.name}-out out"
    if session.imports is not None:
        yield f"route-map {session.name}-in in"
