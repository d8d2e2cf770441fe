"""A BGP router in BIRD's language (https://bird.network.cz/?get_doc&v=20)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.plan.bgp import EVERYTHING, PATHS, PROPAGATED_LIMIT, is_total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from testbed.plan.bgp import Instance, Policy, PrefixRange, Router, Session, Term

FILE = "bird.conf"
TABLE_MAIN = 254  # which BIRD takes where it is told none
DEFAULT = "0.0.0.0/0"
PRIVATE_ASNS = ((64512, 65534), (4200000000, 4294967294))  # RFC 6996
LAST_CHOICE = 1  # a preference below that of every protocol of BIRD's


def symbol(text: str) -> str:
    """Return a name as BIRD accepts it: letters, digits and underscores."""
    name = text.replace("-", "_").replace(".", "_")
    return f"_{name}" if name[0].isdigit() else name


def render(router: Router, title: str) -> str:
    """Return the configuration of a router."""
    lines = [
        f"# {title}",
        "log stderr all;",
        "debug protocols { states };",
        f"router id {router.router_id};",
        *_block("protocol device", ()),
    ]
    for table in router.propagated:
        lines += ["", *_propagated(table)]
    for instance in router.instances:
        lines += ["", *_instance(router, instance)]
    return "\n".join([*lines, ""])


def _block(head: str, body: Iterable[str], end: str = "}") -> Iterator[str]:
    yield f"{head} {{"
    for line in body:
        yield f"  {line}"
    yield end


def _propagated(table: int) -> Iterator[str]:
    yield f"# propagated routes of kernel table {table}"
    yield f"ipv4 table propagated_{table};"
    learned = f"table propagated_{table}; import none; export where source = RTS_BGP;"
    body = [f"kernel table {table};", f"merge paths on limit {PATHS};", f"ipv4 {{ {learned} }};"]
    yield from _block(f"protocol kernel kernel_propagated_{table}", body)


def _instance(router: Router, instance: Instance) -> Iterator[str]:
    yield f"# {instance.name}"
    yield f"ipv4 table {instance.name};"
    for table in instance.propagated:
        yield from _block(f"protocol pipe {instance.name}_to_{table}", _pipe(instance, table))
    if instance.table is not None:
        yield from _block(f"protocol kernel kernel_{instance.name}", _kernel(instance))
    vrf = [f'vrf "{instance.vrf}";'] if instance.vrf else []
    own = f"table {instance.name};"
    if instance.connected:
        names = ", ".join(f'"{interface}"' for interface, _ in instance.connected)
        body = [*vrf, f"ipv4 {{ {own} }};", f"interface {names};"]
        yield from _block(f"protocol direct connected_{instance.name}", body)
    if instance.static:
        body = [*vrf, f"ipv4 {{ {own} }};", *_unreachable(instance.static)]
        yield from _block(f"protocol static static_{instance.name}", body)
    if instance.fallbacks:
        last = f"ipv4 {{ {own} preference {LAST_CHOICE}; }};"
        body = [*vrf, last, *_unreachable(instance.fallbacks)]
        yield from _block(f"protocol static fallback_{instance.name}", body)
    if _originates_default(instance):
        last = f"ipv4 {{ {own} preference {LAST_CHOICE}; }};"
        body = [*vrf, last, *_unreachable([DEFAULT])]
        yield from _block(f"protocol static {_default_of(instance)}", body)
    if any(session.bfd for session in instance.sessions):
        yield from _block(f"protocol bfd bfd_{instance.name}", _bfd(instance, vrf))
    for session in instance.sessions:
        lines = _session(instance, session, router.restart_s)
        yield from _block(f"protocol bgp {symbol(session.name)}", lines)


def _pipe(instance: Instance, table: int) -> Iterator[str]:
    yield f"table {instance.name};"
    yield f"peer table propagated_{table};"
    yield "import none;"
    yield "export where source = RTS_BGP;"
    yield f"export limit {PROPAGATED_LIMIT} action block;"


def _kernel(instance: Instance) -> Iterator[str]:
    if instance.table != TABLE_MAIN:
        if instance.vrf and instance.installed_from is None:
            yield f'vrf "{instance.vrf}";'
        yield f"kernel table {instance.table};"
    yield f"merge paths on limit {PATHS};"
    sources = "RTS_BGP, RTS_STATIC" if instance.install_static else "RTS_BGP"
    which = f"source ~ [ {sources} ]"
    if _originates_default(instance):
        which = f'proto != "{_default_of(instance)}" && {which}'
    if instance.installed_from is not None:
        which = " || ".join(f'proto = "{symbol(name)}"' for name in instance.installed_from)
        which = which or "false"
    yield f"ipv4 {{ table {instance.name}; import none; export where {which}; }};"


def _unreachable(prefixes: Iterable[str]) -> list[str]:
    return [f"route {prefix} unreachable;" for prefix in prefixes]


def _bfd(instance: Instance, vrf: list[str]) -> Iterator[str]:
    yield "debug { states, events };"
    yield from vrf
    for session in instance.sessions:
        if session.bfd:
            interval, times = session.bfd.interval_ms, session.bfd.multiplier
            timers = f"interval {interval} ms; multiplier {times};"
            yield f'interface "{session.interface}" {{ {timers} }};'


def _session(instance: Instance, session: Session, restart_s: int) -> Iterator[str]:
    yield f'description "{session.title}";'
    if instance.vrf and not session.outside:
        yield f'vrf "{instance.vrf}";'
    yield f"local {session.local} as {session.local_asn or instance.asn};"
    yield f"neighbor {session.neighbor} as {session.remote_asn};"
    yield f'interface "{session.interface}";'
    yield "direct;"
    yield f"hold time {session.hold_s};"
    if session.hold_s:
        yield f"keepalive time {session.keepalive_s};"
    if session.reflect:
        yield "rr client;"
    yield "connect delay time 1;"
    yield "connect retry time 2;"
    yield "error wait time 1, 4;"
    if session.password:
        yield f'password "{session.password}";'
    if session.ttl_security:
        yield "ttl security on;"
    if session.own_as_allowed:
        yield f"allow local as {session.own_as_allowed};"
    if session.graceful_restart == "restart":
        yield "graceful restart on;"
        yield f"graceful restart time {restart_s};"
    elif session.graceful_restart == "off":
        yield "graceful restart off;"
    if session.bfd:
        yield "bfd on;"
    yield from _block("ipv4", _channel(instance, session), "};")


def _channel(instance: Instance, session: Session) -> Iterator[str]:
    yield f"table {instance.name};"
    yield "next hop self;"
    if session.limit:
        yield f"receive limit {session.limit} action restart;"
    yield from _policy("import", session.imports, instance.asn, ())
    yield from _policy("export", session.exports, instance.asn, _rewritten(instance, session))


def _policy(way: str, policy: Policy | None, asn: int, first: Iterable[str]) -> Iterator[str]:
    """A filter that begins with the statements `first`."""
    body = list(first)
    if policy is None and not body:
        yield f"{way} all;"
        return
    policy = EVERYTHING if policy is None else policy
    body += [line for term in policy for line in _term(term, asn)]
    if not is_total(policy):
        body.append("reject;")
    yield from _block(f"{way} filter", body, "};")


def _rewritten(instance: Instance, session: Session) -> Iterator[str]:
    """What BIRD has no option for: statements before the rest of an export filter."""
    if session.default_route:
        body = ["bgp_path.empty;", "bgp_community.empty;", "accept;"]
        yield from _block(f"if net = {DEFAULT} then", body)
    elif _originates_default(instance):
        yield f'if proto = "{_default_of(instance)}" then reject;'
    if session.remove_private_as:
        yield f"bgp_path.delete([{', '.join(_private_but(session.remote_asn))}]);"
    if session.as_override:
        own = session.local_asn or instance.asn
        yield from ("bgppath turned = +empty+;", "bgppath made = +empty+;")
        yield "for int number in bgp_path do {"
        yield f"  if number = {session.remote_asn} then turned = prepend(turned, {own});"
        yield "  else turned = prepend(turned, number);"
        yield "}"
        yield "for int number in turned do made = prepend(made, number);"
        yield "bgp_path = made;"


def _private_but(asn: int) -> Iterator[str]:
    """The ranges of private AS numbers (RFC 6996), without the one that a loop is known by."""
    for first, last in PRIVATE_ASNS:
        there = first <= asn <= last
        halves = ((first, asn - 1), (asn + 1, last)) if there else ((first, last),)
        yield from (f"{low}..{high}" for low, high in halves if low <= high)


def _originates_default(instance: Instance) -> bool:
    return any(session.default_route for session in instance.sessions)


def _default_of(instance: Instance) -> str:
    return f"default_{instance.name}"


def _term(term: Term, asn: int) -> Iterator[str]:
    condition, statements = _condition(term), _statements(term, asn)
    if not condition:
        yield from statements
    else:
        yield from _block(f"if {condition} then", statements)


def _condition(term: Term) -> str:
    conditions = []
    if len(term.prefixes) == 1 and not term.prefixes[0].longest:
        conditions.append(f"net = {term.prefixes[0].network}")
    elif term.prefixes:
        conditions.append(f"net ~ [ {', '.join(map(_prefixes, term.prefixes))} ]")
    if term.communities:
        conditions.append(f"bgp_community ~ [ {', '.join(map(_community, term.communities))} ]")
    return " && ".join(conditions)


def _prefixes(entry: PrefixRange) -> str:
    if not entry.longest:
        return entry.network
    return f"{entry.network}{{{entry.shortest or entry.length},{entry.longest}}}"


def _community(text: str) -> str:
    return f"({', '.join(text.split(':'))})"


def _statements(term: Term, asn: int) -> Iterator[str]:
    for _ in range(term.prepend):
        yield f"bgp_path.prepend({asn});"
    if term.preference is not None:
        yield f"bgp_local_pref = {term.preference};"
    if term.med is not None:
        yield f"bgp_med = {term.med};"
    for community in term.add_communities:
        yield f"bgp_community.add({_community(community)});"
    if term.action != "continue":
        yield f"{term.action};"
