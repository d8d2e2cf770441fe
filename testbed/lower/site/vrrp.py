"""VRRP: the devices of a segment share its gateway address (RFC 5798), by keepalived.

The address and the virtual router's MAC address, 00:00:5e:00:01:ID, are on an interface of
their own, which keepalived makes on the one that backs it.
"""

from __future__ import annotations

from collections.abc import Mapping

from testbed.lower import names
from testbed.lower.builder import Draft, NodeDraft, interface_name
from testbed.lower.templating import environment
from testbed.plan.checks import AddressCheck
from testbed.plan.model import NODE_DIRECTORY, Process
from testbed.topology.model import Segment

FILE = "keepalived.conf"
# What keepalived's documentation asks for where an address is on a macvlan (doc/NOTE_vrrp_vmac).
SYSCTLS = {"net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/all/arp_announce": "2"}


def virtual_port(segment: Segment) -> str:
    """Return the name of the interface that has the shared address, where a device has it."""
    return interface_name("vrrp_", segment.name)


def lower(draft: Draft, segments: tuple[Segment, ...], devices: Mapping[str, NodeDraft]) -> None:
    """Run keepalived in every device that shares a gateway address."""
    shared = [segment for segment in segments if segment.vrrp is not None]
    for name, node in devices.items():
        own = [s for s in shared if any(device == name for device, _ in s.routers)]
        if own:
            _run(node, own)
    for segment in shared:
        assert segment.vrrp is not None
        master = segment.vrrp.priorities[0][0]
        address = str(segment.vrrp.address.ip)
        title = f"{segment.name}: {master} is the VRRP master of {address}"
        draft.checks.append(AddressCheck(master, virtual_port(segment), title, address))


def _run(node: NodeDraft, segments: list[Segment]) -> None:
    entries = []
    for segment in segments:
        vrrp = segment.vrrp
        assert vrrp is not None
        entries.append(
            {
                "name": segment.name,
                "interface": names.lan_port(segment.name),
                "virtual": virtual_port(segment),
                "vrrp": vrrp,
                "priority": dict(vrrp.priorities)[node.name],
                "source": next(a.ip for device, a in segment.routers if device == node.name),
            }
        )
    directory = f"{NODE_DIRECTORY}/{node.name}"
    template = environment.get_template("keepalived.conf.j2")
    node.files[FILE] = template.render(title=node.title, name=node.name, instances=entries)
    node.sysctls |= SYSCTLS
    argv = (
        *("keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp"),
        *("--use-file", f"{directory}/{FILE}", "--pid", f"{directory}/keepalived.pid"),
        *("--vrrp_pid", f"{directory}/vrrp.pid"),
    )
    node.processes.append(Process("keepalived", argv, files=(FILE,)))
