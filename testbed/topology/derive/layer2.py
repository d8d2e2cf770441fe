"""What is derived for service addresses that instances announce on a LAN."""

from __future__ import annotations

from collections.abc import Mapping

from testbed.topology.model import (
    Layer2Service,
    LocalNetworkInterface,
    NetworkInterface,
    Site,
    Speaker,
)
from testbed.topology.schema import Layer2ServiceForm, TopologyForm


def derive_layer2_services(
    form: TopologyForm,
    site: Site,
    interfaces: Mapping[str, NetworkInterface],
    local: Mapping[str, LocalNetworkInterface],
) -> dict[str, Layer2Service]:
    """Return the layer-2 services; nodes without an interface in the LAN are left out.

    Which the rules refuse.
    """
    made = {}
    for name, given in form.layer2_services.items():
        segment = next((s.name for s in site.segments if given.address in s.cidr), None)
        found = [_speaker(given, node, segment, interfaces, local) for node in given.nodes]
        speakers = tuple(speaker for speaker in found if speaker is not None)
        made[name] = Layer2Service(name, given.address, segment, speakers, given.heartbeats)
    return made


def _speaker(
    given: Layer2ServiceForm,
    node: str,
    segment: str | None,
    interfaces: Mapping[str, NetworkInterface],
    local: Mapping[str, LocalNetworkInterface],
) -> Speaker | None:
    for interface in local.values():
        for index, network in enumerate(interface.networks):
            if interface.instance == node and network.segment == segment is not None:
                leased = (n.address.ip for n in interface.networks if n.address is not None)
                address = next(leased, None)
                if given.heartbeats == "vpc":
                    address = interfaces[node].address
                return Speaker(node, interface.name, index, address)
    return None
