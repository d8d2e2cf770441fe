"""Faults of what the two ends of a BGP session have to agree on: keys, limits, BFD."""

from __future__ import annotations

from testbed.faults.bgp import neighbors_of, reconfigure, runs_frr
from testbed.faults.editing import Editing, Target, chain
from testbed.faults.registry import CONFIGURATION, kind, number
from testbed.faults.values import Parameter
from testbed.plan.frr import unsigned_refused
from testbed.plan.model import Fault

KEY = "only-on-this-side"


@kind(
    "bgp-md5",
    "only this side signs a session with an MD5 key (RFC 2385)",
    "node",
    "interface",
    rank=CONFIGURATION,
)
def bgp_md5(edit: Editing, target: Target, fault: Fault) -> None:
    """Configure a password that the other end does not know: both drop what the other sends."""
    reconfigure(edit, target, lambda speaker, neighbor: speaker.sign(neighbor, KEY))
    if runs_frr(edit.node(target.node)):
        rules = unsigned_refused(neighbors_of(edit, target))
        edit.add_table(target.node, fault, chain("input", *rules))


@kind(
    "bgp-prefix-limit",
    "this side takes a session down when it receives more prefixes than its limit",
    "node",
    "interface",
    parameters=(
        Parameter(
            "limit", "number", "how many prefixes are accepted", 1, lowest=1, highest=1000000
        ),
    ),
    rank=CONFIGURATION,
)
def bgp_prefix_limit(edit: Editing, target: Target, fault: Fault) -> None:
    """Limit what is received: NOTIFICATION Cease, maximum number of prefixes (RFC 4486)."""
    limit = int(number(fault, "limit"))
    reconfigure(edit, target, lambda speaker, neighbor: speaker.limit(neighbor, limit))


@kind(
    "bfd-missing",
    "a session has no BFD on this side",
    "node",
    "interface",
    rank=CONFIGURATION,
)
def bfd_missing(edit: Editing, target: Target, _: Fault) -> None:
    """Take BFD off the sessions: the other side's BFD session stays down, BGP's does not mind."""
    reconfigure(edit, target, lambda speaker, neighbor: speaker.without_bfd(neighbor))
