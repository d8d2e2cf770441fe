"""An installation as AWS's API sees it, at one revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from testbed.api import objects
from testbed.api.objects import ATTACHED, Ref
from testbed.api.records import records
from testbed.lifecycle.live import Standing
from testbed.topology.ids import ACCOUNT, ResourceType
from testbed.topology.model import NetworkInterface, Subnet, Topology, Vpc

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)  # when what was there before any call was created


@dataclass(frozen=True)
class World:
    """What runs: its document, the topology that this is, and what is not settled yet.

    `unsettled` has the identifiers of objects that packets don't follow yet, `states` what
    `testbed status` says, where an operation asks for it.
    """

    live: Standing
    topology: Topology
    unsettled: frozenset[str] = field(default_factory=frozenset)
    states: Mapping[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, Any]:
        """The document's data."""
        return dict(self.live.document.data)

    @property
    def region(self) -> str:
        """The Region's name."""
        return self.topology.region.name

    @cached_property
    def records(self) -> dict[str, Any]:
        """The records, by identifier."""
        return records(self.live.document.data)

    @cached_property
    def objects(self) -> dict[str, Ref]:
        """All objects by identifier."""
        return objects.index(self.topology, self.records)

    def id(self, kind: ResourceType, *names: str) -> str:
        """Return the identifier of an object; of what a VPC has one of, by the VPC's name."""
        if kind in ATTACHED:
            for id_, entry in self.records.items():
                if entry.get("kind") == kind and entry.get("values", {}).get("vpc") == names[0]:
                    return id_
        return objects.id_of(kind, *names)

    def alone(self, kind: ResourceType) -> Iterator[tuple[str, dict[str, Any]]]:
        """Find the objects of a kind that records have, with the values of these."""
        for id_, entry in self.records.items():
            if entry.get("kind") == kind and not entry.get("deleted"):
                yield id_, entry.get("values", {})

    def value(self, id_: str, key: str, default: Any = None) -> Any:
        """Return an attribute that only the object's record has."""
        return self.records.get(id_, {}).get("values", {}).get(key, default)

    def tags(self, id_: str) -> list[dict[str, str]]:
        """Return an object's tags as answers have them."""
        tags = self.records.get(id_, {}).get("tags", {})
        return [{"Key": key, "Value": value} for key, value in tags.items()]

    def created(self, id_: str) -> datetime:
        """Return when an object was created."""
        at = self.records.get(id_, {}).get("created")
        return EPOCH if at is None else datetime.fromtimestamp(at, UTC)

    def state(self, id_: str, *, pending: str = "pending", ready: str = "available") -> str:
        """Return an object's state: `pending` until packets follow."""
        return pending if id_ in self.unsettled else ready

    def arn(self, kind: str, id_: str, service: str = "ec2") -> str:
        """Return an Amazon Resource Name."""
        return f"arn:aws:{service}:{self.region}:{ACCOUNT}:{kind}/{id_}"

    def outpost_arn(self, outpost: str) -> str:
        """Return an Outpost's Amazon Resource Name."""
        return self.arn("outpost", self.id("outpost", outpost), "outposts")

    def zone_id(self, zone: str) -> str:
        """Return the identifier of an Availability Zone, such as usw2-az1."""
        area, side, number = [*self.region.split("-"), "", ""][:3]
        letters = "".join(word[0] for word in _sides(side))
        place = self.topology.region.zones.index(zone) + 1
        return f"{area}{letters}{number}-az{place}"

    def subnets(self) -> Iterator[tuple[Vpc, Subnet]]:
        """Find all subnets with their VPCs."""
        for vpc in self.topology.vpcs.values():
            for subnet in vpc.subnets:
                yield vpc, subnet

    def interfaces_of(self, instance: str) -> list[NetworkInterface]:
        """Return the network interfaces of an instance, the primary one first."""
        own = [i for i in self.topology.network_interfaces.values() if i.instance == instance]
        return sorted(own, key=lambda interface: interface.device_index)


def _sides(text: str) -> list[str]:
    """Split the middle of a Region's name into its words: northeast is north and east."""
    found, rest = [], text
    while rest:
        word = next((w for w in _WORDS if rest.startswith(w)), rest)
        found.append(word)
        rest = rest[len(word) :]
    return found


_WORDS = ("north", "south", "east", "west", "central", "gov", "iso")
