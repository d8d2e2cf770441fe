"""Healthy sites from a seed: whatever differs between them is legal, and every check has to pass.

`site(seed)` is a topology as a file's data, `write(seed, folder)` writes it, with the rulesets
and configurations that it names. The same seed gives the same site.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sites import firewalls, own, vpcs

Data = dict[str, Any]

OFFICE = "192.168.{}.0/24"


@dataclass
class Draft:
    """A site in the making."""

    seed: int
    chance: random.Random
    data: Data
    groups: list[list[str]]  # the devices of each place
    racks: dict[str, list[str]]  # the devices of each Outpost
    files: dict[str, str] = field(default_factory=dict)
    own: list[str] = field(default_factory=list)  # devices with a configuration of their own

    @property
    def site(self) -> Data:
        """What the customer owns."""
        found: Data = self.data["site"]
        return found

    @property
    def devices(self) -> list[str]:
        """All devices' names."""
        return [name for group in self.groups for name in group]

    def maybe(self, likelihood: float) -> bool:
        """True, so often."""
        return self.chance.random() < likelihood


def site(seed: int) -> Data:
    """Return the topology of a seed; what it names is not there: see `write`."""
    return _draft(seed).data


def write(seed: int, folder: Path) -> Path:
    """Write the topology of a seed and what it names into a folder; the topology's path."""
    draft = _draft(seed)
    for name, text in draft.files.items():
        (folder / name).write_text(text)
    if draft.own:
        texts = own.configurations({**draft.data, "site": _generated(draft)}, folder, draft)
        for name, text in texts.items():
            (folder / name).write_text(text)
    path = folder / "topology.yaml"
    path.write_text(yaml.safe_dump(draft.data, sort_keys=False))
    return path


def _generated(draft: Draft) -> Data:
    """The customer's part without configurations of its own."""
    devices = {
        name: {key: value for key, value in device.items() if key != "config"}
        for name, device in draft.site["devices"].items()
    }
    return {**draft.site, "devices": devices}


def _draft(seed: int) -> Draft:
    chance = random.Random(seed)
    groups, racks = _places(chance)
    data: Data = {
        "testbed": 1,
        "name": f"healthy-{seed}",
        "region": {"name": "us-west-2", "zones": ["us-west-2a"]},
        "vpcs": {},
        "outposts": {},
        "site": {},
        "instances": {},
    }
    draft = Draft(seed, chance, data, groups, racks)
    _devices(draft)
    _outposts(draft)
    _lans(draft)
    vpcs.add(draft)
    firewalls.add_ways_to_the_region(draft)
    _share_asns(draft)
    return draft


def _places(chance: random.Random) -> tuple[list[list[str]], dict[str, list[str]]]:
    """Devices in one or two places, with one to three Outposts."""
    names = iter(f"cnd{number}" for number in range(1, 5))
    groups = [
        [next(names) for _ in range(chance.choice((1, 2, 2, 2)))]
        for _ in range(chance.choice((1, 1, 1, 2)))
    ]
    racks = {}
    for number in range(chance.choice((0, 0, 0, 1)) + len(groups)):
        group = groups[number % len(groups)]
        pair = group if len(group) == 2 else group * 2
        racks[f"op-{'abc'[number]}"] = chance.choice((pair, pair, pair[::-1]))
    return groups, racks


def _devices(draft: Draft) -> None:
    devices: Data = {}
    for name in draft.devices:
        device: Data = {"daemon": draft.chance.choice(("bird", "bird", "frr"))}
        if draft.maybe(0.2):
            device["config"] = f"{name}.conf"
            draft.own.append(name)
        devices[name] = device
    draft.site["devices"] = devices
    if len(draft.groups) > 1 and draft.maybe(0.7):
        draft.site["wan"] = {"delay": "2ms"}
        for number, group in enumerate(draft.groups):
            for name in group:
                devices[name]["asn"] = 65010 + number


def _outposts(draft: Draft) -> None:
    for number, (name, pair) in enumerate(draft.racks.items()):
        outpost: Data = {"devices": list(pair)}
        outpost["service_link"] = {"infrastructure_cidr": f"10.200.{number}.0/26"}
        gateway: Data = {}
        if draft.maybe(0.25):
            pool = {"cidrs": [f"172.20.{number}.0/26"]}
            gateway = {"mode": "coip", "coip_pools": {f"pool-{name}": pool}}
        outpost["local_gateway"] = gateway
        links = draft.chance.choice((1, 1, 2))
        outpost["uplinks"] = {"speed": "10G", "per_device": links, "bfd": draft.maybe(0.3)}
        if draft.maybe(0.3):
            outpost["resolver"] = True
        draft.data["outposts"][name] = outpost


def _lans(draft: Draft) -> None:
    segments: Data = {}
    hosts: Data = {}
    for number, group in enumerate(draft.groups):
        if draft.maybe(0.75):
            routers = group if draft.maybe(0.6) else group[:1]
            segments[f"lan{number}"] = {
                "cidr": OFFICE.format(10 + number),
                "devices": list(routers),
            }
            hosts[f"desk{number}"] = {"segment": f"lan{number}", "services": ["http"]}
    if segments:
        draft.site.update(segments=segments, hosts=hosts)


def _share_asns(draft: Draft) -> None:
    """Give AS numbers to several where that is legal: where their prefixes never meet."""
    outposts = draft.data["outposts"]
    if draft.maybe(0.3):  # both VRFs of an Outpost: its prefixes of one are not in the other
        for outpost in outposts.values():
            outpost["service_link"]["asn"] = 64600
            if draft.maybe(0.5):
                break
    elif draft.maybe(0.3):
        for number, outpost in enumerate(outposts.values()):
            outpost["service_link"]["asn"] = outpost["local_gateway"]["asn"] = 64700 + number
    if len(draft.groups) > 1 and "wan" not in draft.site and draft.maybe(0.5):
        for device in draft.site["devices"].values():  # nothing connects the two places
            device["asn"] = 65020
