"""IPv6 on LAN segments: the devices advertise the prefix and themselves, by radvd (RFC 4861)."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.lower import names
from testbed.lower.builder import NodeDraft
from testbed.lower.templating import environment
from testbed.plan.model import NODE_DIRECTORY, Process
from testbed.topology.model import Segment

FILE = "radvd.conf"
_ON = {
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/icmp/ratelimit": "0",
}
ROUTER_SYSCTLS = _ON | {
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/forwarding": "1",
    "net/ipv6/conf/all/keep_addr_on_down": "1",
    "net/ipv6/conf/default/keep_addr_on_down": "1",
}


def listen(segment: Segment, node: NodeDraft) -> None:
    """Let a machine of the segment make itself addresses of what is advertised (RFC 4862)."""
    if segment.ipv6_routers:
        node.sysctls |= _ON


def lower(segments: tuple[Segment, ...], devices: Mapping[str, NodeDraft]) -> None:
    """Give the devices their IPv6 addresses, and let them advertise the segments' prefixes."""
    for name, node in devices.items():
        own = []
        for segment in segments:
            for device, address in segment.ipv6_routers:
                if device == name:
                    lan = names.lan_port(segment.name)
                    node.address(lan, address)
                    own.append({"interface": lan, "prefix": address.network, "mtu": segment.mtu})
        if own:
            node.sysctls |= ROUTER_SYSCTLS
            template = environment.get_template("radvd.conf.j2")
            node.files[FILE] = template.render(title=node.title, interfaces=own)
            directory = f"{NODE_DIRECTORY}/{name}"
            argv = (
                *("radvd", "--nodaemon", "--config", f"{directory}/{FILE}"),
                *("--logmethod", "stderr", "--pidfile", f"{directory}/radvd.pid"),
            )
            node.processes.append(Process("radvd", argv, files=(FILE,)))
