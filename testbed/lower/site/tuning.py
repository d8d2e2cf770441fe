"""A customer's BGP settings, put into the sessions of its devices and of what faces them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

from testbed.plan.bgp import Policy, Session, Term
from testbed.topology.model import BgpSettings


def tuned(session: Session, asn: int, settings: BgpSettings) -> Session:
    """Return a device's end of a session, with the settings that hold for it.

    What is about AS paths between two ASs is left out inside the device's own, `asn`.
    """
    external = session.remote_asn != asn
    hold = session.hold_s if settings.hold_time is None else settings.hold_time
    return replace(
        matched(session, settings),
        hold_s=hold,
        keepalive_s=settings.keepalive_time or max(hold // 3, 1),
        graceful_restart=settings.graceful_restart or session.graceful_restart,
        limit=settings.max_prefixes or session.limit,
        own_as_allowed=settings.allowas_in or 0,
        as_override=external and bool(settings.as_override),
        remove_private_as=external and bool(settings.remove_private_as),
        default_route=bool(settings.default_originate),
        imports=_policy(settings.inbound, session.imports),
        exports=_policy(settings.outbound, session.exports),
    )


def matched(session: Session, settings: BgpSettings) -> Session:
    """Return a session, with what both of its ends have to agree on."""
    return replace(
        session,
        password=settings.password or session.password,
        ttl_security=bool(settings.ttl_security),
        bfd=settings.bfd or session.bfd,
    )


def _policy(rules: Policy | None, without: Policy | None) -> Policy | None:
    """The rules; those that name no prefixes are about the ones that are let through `without`."""
    if rules is None or without is None:
        return without if rules is None else rules
    there = tuple(prefix for term in without for prefix in term.prefixes)
    return tuple(replace(rule, prefixes=rule.prefixes or there) for rule in rules)


def lets(policy: Policy | None, network: IPv4Network) -> bool:
    """Return whether a policy lets a route to `network` pass that carries no communities."""
    for term in policy or ():
        if not term.communities and (not term.prefixes or _within(term, network)):
            return term.action == "accept"
    return policy is None


def _within(term: Term, network: IPv4Network) -> bool:
    return any(
        network.subnet_of(IPv4Network(entry.network))
        and (entry.shortest or entry.length) <= network.prefixlen <= (entry.longest or entry.length)
        for entry in term.prefixes
    )
