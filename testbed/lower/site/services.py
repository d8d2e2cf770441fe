"""What instances and hosts offer, so that there is something to reach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from testbed.lower.builder import Draft, NodeDraft
from testbed.plan.checks import ListenCheck
from testbed.plan.model import Process
from testbed.topology.model import Service

Offer = Service | Literal["aws"]

PORTS: dict[Offer, tuple[tuple[Literal["tcp", "udp"], int], ...]] = {
    "http": (("tcp", 80),),
    "aws": (("tcp", 80), ("tcp", 443)),
    "echo": (("tcp", 7), ("udp", 7)),
}


def add_services(draft: Draft, node: NodeDraft, services: Iterable[Offer]) -> None:
    """Let the node offer `services`; one process serves them all (`testbed.programs.services`)."""
    wanted = tuple(services)
    if not wanted:
        return
    node.processes.append(Process("services", ("testbed-services", node.name, *wanted)))
    for service in wanted:
        for protocol, port in PORTS[service]:
            title = f"{node.name} {service} on {protocol} port {port}"
            draft.checks.append(ListenCheck(node.name, protocol, port, title))
