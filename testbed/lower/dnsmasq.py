"""dnsmasq, where a segment of the customer's has a DHCP server, and in the internet's DNS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import NamedTuple

from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.templating import environment
from testbed.plan.checks import ListenCheck
from testbed.plan.model import NODE_DIRECTORY, Process
from testbed.topology.model import Segment

FILE = "dnsmasq.conf"


class Lease(NamedTuple):
    """Who always gets the same address of a DHCP server."""

    mac: str
    address: IPv4Address
    name: str


def configure(
    draft: Draft,
    node: NodeDraft,
    address: IPv4Address,
    names: Mapping[str, IPv4Address],
    *,
    upstream: Sequence[IPv4Address] = (),
    segment: Segment | None = None,
    leases: Sequence[Lease] = (),
) -> None:
    """Let the node answer DNS at its address, and with a `segment` DHCP, too."""
    directory = f"{NODE_DIRECTORY}/{node.name}"
    node.files[FILE] = environment.get_template("dnsmasq.conf.j2").render(
        title=node.title,
        directory=directory,
        address=address,
        upstream=upstream,
        names=dict(sorted(names.items())),
        dhcp=segment.dhcp if segment else None,
        mtu=segment.mtu if segment else None,
        leases=sorted(leases, key=lambda lease: lease.address),
    )
    argv = ("dnsmasq", "-C", f"{directory}/{FILE}")
    node.processes.append(Process("dnsmasq", argv, files=(FILE,)))
    draft.checks.append(ListenCheck(node.name, "udp", 53, f"{node.title}: DNS"))
    if segment is not None:
        draft.checks.append(ListenCheck(node.name, "udp", 67, f"{node.title}: DHCP"))
