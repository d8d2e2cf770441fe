"""Devices that run a configuration of the customer's own, instead of a generated one.

It is taken as it is. What its device's interfaces are called in it is a matter of the customer's
(`config_interfaces`), as are further VRFs (`vrfs`), so both are the topology's to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from testbed.lower import bgp
from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.rack import add_vrf
from testbed.lower.site.frr_parts import BFDD, ZEBRA, Parts, parts
from testbed.plan import bird
from testbed.plan.checks import BgpCheck
from testbed.topology.model import Device

FIRST_TABLE = 1011  # of further VRFs; 1001 and 1002 are those that every device has


def configure(draft: Draft, node: NodeDraft, router: bgp.Router, device: Device) -> None:
    """Give `node` the daemons of a device's own configuration, its VRFs, and what to expect.

    Expected are those of the `router`'s sessions, the ones that the topology is about, whose
    neighbours the configuration knows.
    """
    assert device.config is not None
    text = in_the_testbeds_words(device.config, device.config_interfaces)
    _add_vrfs(draft, node, device)
    if device.daemon == "bird":
        node.files[bird.FILE] = text
        bgp.run_bird(node)
    else:
        _run_frr(node, parts(text), bfd=router.bfd)
    known = neighbors(text)
    for instance in router.instances:
        for session in instance.sessions:
            neighbor = str(session.neighbor)
            if neighbor in known:
                draft.checks.append(BgpCheck(node.name, device.daemon, "", neighbor, session.title))


def in_the_testbeds_words(text: str, interfaces: Mapping[str, str]) -> str:
    """Put the testbed's names of interfaces in the place of the customer's, VLANs' included."""
    if not interfaces:
        return text
    names = "|".join(re.escape(name) for name in sorted(interfaces, key=len, reverse=True))
    word = re.compile(rf'(?<![^\s"])({names})(?=(\.\d+)?([\s";,]|$))', re.MULTILINE)
    return "\n".join(
        line if line.split()[:1] == ["description"] else word.sub(lambda m: interfaces[m[1]], line)
        for line in text.split("\n")
    )


def neighbors(text: str) -> set[str]:
    """The addresses with which a configuration has sessions, BIRD's or FRR's."""
    return set(re.findall(r"^\s*neighbor\s+([0-9.]+)\b", text, re.MULTILINE))


def _add_vrfs(draft: Draft, node: NodeDraft, device: Device) -> None:
    """Add the further VRFs, and move their interfaces there."""
    for name, members in device.vrfs.items():
        kind = f"vrf-table/{device.name}"
        if all(interface.name != name for interface in node.interfaces):  # a routing domain's
            add_vrf(node, name, draft.numbers.claim(kind, name, first=FIRST_TABLE))
        for index, interface in enumerate(node.interfaces):
            if interface.name in members:
                node.interfaces[index] = replace(interface, master=name)


def _run_frr(node: NodeDraft, taken: Parts, *, bfd: bool) -> None:
    """Each daemon with its part of the file; zebra and, with BFD, bfdd are there in any case."""
    daemons = list(taken.daemons)
    if bfd and BFDD not in daemons:
        daemons.insert(1, BFDD)
    for daemon in daemons:
        node.files[f"{daemon}.conf"] = taken.of(daemon)
    node.files[f"{ZEBRA}.conf"] += bgp.ZEBRA
    bgp.run_frr(node, daemons)
