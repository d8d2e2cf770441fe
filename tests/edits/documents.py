"""Topology files as plain data, and edits of them: an object taken out, mappings reordered."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.errors import TopologyError
from testbed.topology import loads
from testbed.topology.model import Topology
from testbed.topology.numbers import Numbers

Data = dict[str, Any]
Place = tuple[str | int, ...]

OBJECTS = tuple(
    tuple(pattern.split("."))
    for pattern in (
        "hosted_zones.*",
        "instances.*",
        "network_interfaces.*",
        "outposts.*",
        "outposts.*.local_gateway.coip_pools.*",
        "placement_groups.*",
        "region.internet.hosts.*",
        "region.prefix_lists.*",
        "region.transit_gateways.*",
        "region.transit_gateways.*.attachments.*",
        "region.transit_gateways.*.route_tables.*",
        "region.vpc_peering_connections.*",
        "site.devices.*",
        "site.direct_connect.*",
        "site.firewalls.*",
        "site.hosts.*",
        "site.segments.*",
        "vpcs.*",
        "vpcs.*.endpoints.*",
        "vpcs.*.nat_gateways.*",
        "vpcs.*.network_acls.*",
        "vpcs.*.route_tables.*",
        "vpcs.*.security_groups.*",
        "vpcs.*.subnets.*",
    )
)
"""Where topology files have objects with names; lists have what belongs to one of them."""
MOST_ROUNDS = 60


@dataclass(frozen=True)
class Document:
    """A topology file: its data, and the path beside which the files are that it names."""

    data: Data
    path: Path = Path("edited.yaml")

    def load(self, numbers: Numbers | None = None) -> Topology:
        """Return its topology; TopologyError when it is not right."""
        return loads(json.dumps(self.data), file=str(self.path), numbers=numbers)

    def objects(self) -> list[Place]:
        """Return the places of all objects with names."""
        return [place for pattern in OBJECTS for place in _matches(self.data, pattern)]

    def reordered(self, chance: random.Random) -> Document:
        """Return the same document with all its mappings in another order."""
        return Document(_shuffled(self.data, chance), self.path)

    def without(self, place: Place) -> tuple[Document, set[Place]] | None:
        """Return the document without an object and what can't be without it, in one edit.

        The places are those of all objects that went, or that lost an entry of a list. None
        where nothing is left that is right.
        """
        data = copy.deepcopy(self.data)
        _delete(data, place)
        edited = {place}
        for _ in range(MOST_ROUNDS):
            shorter = Document(data, self.path)
            try:
                shorter.load()
            except TopologyError as error:
                if not _take_out(data, [problem.object for problem in error.problems], edited):
                    return None
            else:
                return shorter, edited
        return None


def _take_out(data: Data, problems: list[str], edited: set[Place]) -> bool:
    """Take out what the problems are about, the last of a list first; False: there is nothing."""
    found = {part for text in problems if (part := _smallest(data, _place(data, text)))}
    for part in sorted(found, key=lambda part: [str(step).zfill(9) for step in part], reverse=True):
        _delete(data, part)
        owner = _object(part)
        if owner is not None:
            edited.add(owner)
    return bool(found)


def _place(data: Any, text: str) -> Place:
    """The place that a problem names; names may have dots."""
    if match := re.match(r"\[(\d+)\]", text):
        index = int(match[1])
        if isinstance(data, list) and index < len(data):
            return (index, *_place(data[index], text[match.end() :]))
    elif isinstance(data, dict):
        text = text.removeprefix(".")
        keys = [key for key in data if re.match(rf"{re.escape(key)}(?=[.\[]|$)", text)]
        if keys:
            key = max(keys, key=len)
            return (key, *_place(data[key], text.removeprefix(key)))
    return ()


def _smallest(data: Data, place: Place) -> Place | None:
    """The smallest part around a place that can go: an entry of a list, or an object."""
    for length in range(len(place), 0, -1):
        part = place[:length]
        if isinstance(part[-1], int) or _object(part) == part:
            return part
    return None


def _object(place: Place) -> Place | None:
    """The object that a place is in, the innermost one."""
    fitting = [
        place[: len(pattern)]
        for pattern in OBJECTS
        if len(place) >= len(pattern)
        and all(want in ("*", step) for want, step in zip(pattern, place, strict=False))
    ]
    return max(fitting, key=len, default=None)


def _delete(data: Any, place: Place) -> None:
    for step in place[:-1]:
        data = data[step]
    del data[place[-1]]


def _matches(data: Any, pattern: tuple[str, ...], place: Place = ()) -> Iterator[Place]:
    if not pattern:
        yield place
    elif isinstance(data, dict):
        for key in data if pattern[0] == "*" else [pattern[0]]:
            if key in data:
                yield from _matches(data[key], pattern[1:], (*place, key))


def _shuffled(data: Any, chance: random.Random) -> Any:
    if isinstance(data, list):
        return [_shuffled(value, chance) for value in data]
    if not isinstance(data, dict):
        return data
    keys = list(data)
    chance.shuffle(keys)
    return {key: _shuffled(data[key], chance) for key in keys}
