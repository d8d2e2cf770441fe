"""Faults of filters and translation on the way."""

from __future__ import annotations

import re

from testbed.errors import UsageError
from testbed.faults.editing import Editing, Target, chain
from testbed.faults.registry import RULES, kind, text
from testbed.faults.values import Parameter
from testbed.plan.model import Fault

BEFORE_REASSEMBLY = -450  # defragmentation is at -400
BEFORE_FILTERS = -10  # after the destination was translated, before the source is
_TRANSLATES = re.compile(r"^[^\n#]*\b(?:masquerade|snat)\b[^\n]*$", re.MULTILINE)
_OUTWARD = re.compile(r"oifname\s+(\"[^\"]+\"|\{[^}]*\}|[\w.-]+)")


@kind(
    "firewall",
    "a node drops or rejects some packets that it forwards, sends or receives",
    "node",
    parameters=(
        Parameter("protocol", "choice", "the packets' protocol", choices=("tcp", "udp", "icmp")),
        Parameter("port", "ports", "the packets' destination port, with tcp or udp"),
        Parameter("source", "prefix", "the packets' source"),
        Parameter("destination", "prefix", "the packets' destination"),
        Parameter(
            "action",
            "choice",
            "drop packets silently, or reject them with an ICMP error",
            "drop",
            choices=("drop", "reject"),
        ),
    ),
    rank=RULES,
)
def firewall(edit: Editing, target: Target, fault: Fault) -> None:
    """Add a table with one rule in the hooks forward, input and output."""
    rule = _matches(fault) + text(fault, "action")
    hooks = [chain(hook, rule, priority=BEFORE_FILTERS) for hook in ("forward", "input", "output")]
    edit.add_table(target.node, fault, "".join(hooks))


def _matches(fault: Fault) -> str:
    protocol, port = text(fault, "protocol"), text(fault, "port")
    if port and protocol not in {"tcp", "udp"}:
        raise UsageError("--port needs --protocol tcp or udp")
    words = ""
    ends = {"saddr": text(fault, "source"), "daddr": text(fault, "destination")}
    if len({":" in prefix for prefix in ends.values() if prefix}) > 1:
        raise UsageError("--source and --destination: one is IPv4, the other IPv6")
    for key, prefix in ends.items():
        if prefix:
            words += f"{'ip6' if ':' in prefix else 'ip'} {key} {prefix} "
    if port:
        return f"{words}{protocol} dport {port} "
    if protocol:
        both = "{ icmp, ipv6-icmp }" if protocol == "icmp" else protocol
        words += f"meta l4proto {both} "
    if not words:
        hint = "--protocol, --port, --source or --destination; use node-stopped to cut off a node"
        raise UsageError("firewall needs at least one condition", hint=hint)
    return words


@kind(
    "nat-exhausted",
    "an address-translating firewall or gateway has no port left for new connections",
    "node",
    rank=RULES,
)
def nat_exhausted(edit: Editing, target: Target, fault: Fault) -> None:
    """Drop what would begin a connection that is translated; others go on.

    That is what the kernel does when it finds no free port (nf_nat: NF_DROP).
    """
    rules = _TRANSLATES.findall(edit.original(target.node).nftables)
    if not rules:
        hint = "a firewall with nat: true, a device with an internet uplink, a NAT gateway"
        raise UsageError(f"{target.node} does not translate source addresses", hint=hint)
    outward = {match[1] if (match := _OUTWARD.search(rule)) else "" for rule in rules}
    drops = [f"{f'oifname {name} ' if name else ''}ct state new drop" for name in sorted(outward)]
    edit.add_table(target.node, fault, chain("forward", *drops, priority=BEFORE_FILTERS))


@kind(
    "fragments-dropped",
    "a node drops all fragments but the first: they have no ports that rules could match",
    "node",
    rank=RULES,
)
def fragments_dropped(edit: Editing, target: Target, fault: Fault) -> None:
    """Drop later fragments before connection tracking puts packets together."""
    rule = "ip frag-off & 0x1fff != 0 drop"
    body = chain("prerouting", rule, priority=BEFORE_REASSEMBLY)
    edit.add_table(target.node, fault, body)


@kind(
    "icmp-errors-dropped",
    "a node drops ICMP errors, which path MTU discovery needs; pings still pass",
    "node",
    rank=RULES,
)
def icmp_errors_dropped(edit: Editing, target: Target, fault: Fault) -> None:
    """Drop ICMP types 3, 11 and 12, and ICMPv6's packet too big, forwarded and own."""
    rules = (
        "icmp type { destination-unreachable, time-exceeded, parameter-problem } drop",
        "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded } drop",
    )
    hooks = [chain(hook, *rules, priority=BEFORE_FILTERS) for hook in ("forward", "output")]
    edit.add_table(target.node, fault, "".join(hooks))
