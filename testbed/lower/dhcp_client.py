"""Interfaces that get their address by DHCP, from udhcpc (busybox) and its script.

What a lease changes is done with iproute2 by the script, as on any machine; the plan knows
nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.templating import environment
from testbed.plan.checks import AddressCheck
from testbed.plan.model import NODE_DIRECTORY, Process

RETRY_S = 3  # how long after three unanswered requests the next ones follow
LONGEST_HOSTNAME = 63


@dataclass(frozen=True, slots=True)
class Routing:
    """What a machine does with the router that comes with a lease.

    `metric` is that of its default route in the main table (None: it has none there). With a
    `table` and a `priority` what is from the leased address has a default route of its own
    there. `through` are networks that it reaches by that router.
    """

    metric: int | None = 0
    table: int | None = None
    priority: int | None = None
    through: tuple[IPv4Network, ...] = ()


def add(
    draft: Draft,
    node: NodeDraft,
    interface: str,
    address: IPv4Interface | None,
    routing: Routing,
    title: str,
    *,
    expected: bool = True,
) -> None:
    """Run a DHCP client at an interface that was added before.

    `address` is the one that it gets; None: the server has none left for it. Where no server
    hears it a lease is not `expected`.
    """
    if address is not None:
        node.lease(interface, address)
    directory = f"{NODE_DIRECTORY}/{node.name}"
    name = f"dhcp-{interface}"
    script = f"{name}.sh"
    node.files[script] = environment.get_template("dhcp-client.sh.j2").render(
        routing=routing, lease=f"{directory}/{name}.lease"
    )
    hostname = node.name.replace(".", "-")[:LONGEST_HOSTNAME]
    argv = (
        *("testbed-dhcp-client", interface),
        *("udhcpc", "-f", "-i", interface, "-s", f"{directory}/{script}"),
        *("-x", f"hostname:{hostname}", "-O", "mtu", "-t", "3", "-T", "1", "-A", str(RETRY_S)),
    )
    node.processes.append(Process(name, argv, files=(script,)))
    if expected:
        draft.checks.append(AddressCheck(node.name, interface, title))
