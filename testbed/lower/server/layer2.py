"""Service addresses that instances announce on a LAN: what MetalLB's layer-2 mode does there.

Each node has the address on `lo`, so that it takes what comes for it, and its kernel does not
answer ARP for it: the program `testbed-layer2` does, where it is the node's turn.
"""

from __future__ import annotations

import json

from testbed.lower import names
from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.server.local_interfaces import table
from testbed.plan.checks import ListenCheck
from testbed.plan.model import NODE_DIRECTORY, Process, Rule
from testbed.topology.model import Layer2Service, Speaker, Topology

FILE = "layer2.json"
PORT = 7946  # of the heartbeats: memberlist's
PRIORITY = 290  # before the rules by leased addresses


def lower(draft: Draft, topology: Topology) -> None:
    """Add the announcing program to each instance that runs and is a node of a service."""
    for instance in topology.instances.values():
        own = [
            (service, speaker)
            for service in topology.layer2_services.values()
            for speaker in service.speakers
            if speaker.instance == instance.name
        ]
        if own and instance.state == "running":
            _announce(draft, topology, draft.nodes[instance.name], own)
    draft.names |= {
        service.name: str(service.address) for service in topology.layer2_services.values()
    }


def device(topology: Topology, speaker: Speaker) -> str:
    """The interface, inside its instance, that a speaker announces on."""
    interface = topology.local_network_interfaces[speaker.interface]
    vlan = interface.networks[speaker.network].vlan
    own = names.lni_device(interface)
    return own if vlan is None else f"{own}.{vlan}"


def _announce(
    draft: Draft, topology: Topology, node: NodeDraft, own: list[tuple[Layer2Service, Speaker]]
) -> None:
    others: dict[str, str] = {}
    services = {}
    for service, speaker in own:
        name = device(topology, speaker)
        services[service.name] = {
            "address": str(service.address),
            "interface": name,
            "nodes": [entry.instance for entry in service.speakers],
        }
        node.loopback(service.address)
        # the kernel answers only for what is on the interface, and asks with nothing else
        kernel = f"net/ipv4/conf/{name}"
        node.set_sysctls(name, {f"{kernel}/arp_ignore": "1", f"{kernel}/arp_announce": "2"})
        interface = topology.local_network_interfaces[speaker.interface]
        if interface.networks[speaker.network].default_route != "none":
            number = table(interface, speaker.network)
            node.rules.append(Rule(PRIORITY, number, source=f"{service.address}/32"))
        others |= {
            entry.instance: str(entry.address)
            for entry in service.speakers
            if entry.instance != node.name and entry.address is not None
        }
    address = own[0][1].address
    declared = {
        "node": node.name,
        "address": str(address),
        "port": PORT,
        "others": dict(sorted(others.items())),
        "services": services,
    }
    node.files[FILE] = json.dumps(declared, indent=1) + "\n"
    argv = ("testbed-layer2", f"{NODE_DIRECTORY}/{node.name}/{FILE}")
    node.processes.append(Process("layer2", argv, files=(FILE,), reload="program"))
    title = f"{node.name} heartbeats on udp port {PORT}"
    draft.checks.append(ListenCheck(node.name, "udp", PORT, title))
