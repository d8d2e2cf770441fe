"""Operations: what carries out a call, and what they are given to do it with.

An operation that only looks is a function from a call to its result. One that changes
something returns `Work`: a change of the document, and what to answer once it has come
through. It may be called several times for one call, when somebody else was faster.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from testbed.api.errors import ApiError
from testbed.api.objects import id_of
from testbed.api.records import Step
from testbed.api.world import World
from testbed.topology.document import Document
from testbed.topology.editing import kinds
from testbed.topology.editing.change import Change
from testbed.topology.editing.named import Kind
from testbed.topology.ids import PREFIXES, ResourceType
from testbed.topology.values import NAME_LENGTH

Result = dict[str, Any]
Params = Mapping[str, Any]
Answer = Callable[[World], Result]

KINDS: dict[str, Kind] = {
    "coip-pool": kinds.COIP_POOL,
    "elastic-ip": kinds.ADDRESS,
    "instance": kinds.INSTANCE,
    "local-gateway-route-table": kinds.LOCAL_GATEWAY_ROUTE_TABLE,
    "natgateway": kinds.NAT_GATEWAY,
    "network-acl": kinds.NETWORK_ACL,
    "network-interface": kinds.NETWORK_INTERFACE,
    "prefix-list": kinds.PREFIX_LIST,
    "route-table": kinds.ROUTE_TABLE,
    "security-group": kinds.SECURITY_GROUP,
    "subnet": kinds.SUBNET,
    "transit-gateway": kinds.TRANSIT_GATEWAY,
    "transit-gateway-attachment": kinds.TRANSIT_GATEWAY_ATTACHMENT,
    "transit-gateway-route-table": kinds.TRANSIT_GATEWAY_ROUTE_TABLE,
    "vpc": kinds.VPC,
    "vpc-endpoint": kinds.VPC_ENDPOINT,
    "vpc-peering-connection": kinds.VPC_PEERING_CONNECTION,
}
# Error codes of what has no kind among the editing operations (facts: section 7; AWS: EC2 errors).
MISSING: dict[str, str] = {
    "dhcp-options": "InvalidDhcpOptionID.NotFound",
    "egress-only-internet-gateway": "InvalidGatewayID.NotFound",
    "elastic-ip-association": "InvalidAssociationID.NotFound",
    "internet-gateway": "InvalidInternetGatewayID.NotFound",
    "local-gateway": "InvalidLocalGatewayID.NotFound",
    "local-gateway-route-table-virtual-interface-group-association": (
        "InvalidLocalGatewayRouteTableVirtualInterfaceGroupAssociationID.NotFound"
    ),
    "local-gateway-route-table-vpc-association": (
        "InvalidLocalGatewayRouteTableVpcAssociationID.NotFound"
    ),
    "local-gateway-virtual-interface": "InvalidLocalGatewayVirtualInterfaceID.NotFound",
    "local-gateway-virtual-interface-group": "InvalidLocalGatewayVirtualInterfaceGroupID.NotFound",
    "network-acl-association": "InvalidAssociationID.NotFound",
    "network-interface-attachment": "InvalidAttachmentID.NotFound",
    "outpost": "InvalidOutpostId.NotFound",
    "route-table-association": "InvalidAssociationID.NotFound",
    "security-group-rule": "InvalidSecurityGroupRuleId.NotFound",
    "vpn-gateway": "InvalidVpnGatewayID.NotFound",
}


@dataclass(frozen=True)
class Created:
    """An object that a call creates: its identifier, tags and other attributes."""

    id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    kind: str | None = None  # of one that only its record has


@dataclass(frozen=True)
class Work:
    """What a call changes, and what it is answered with once that has come through.

    `steps` change what records say. `deletes` are identifiers of which only records stay;
    `last` has what is said of them from then on.
    """

    answer: Answer
    change: Callable[[Document], Document] | None = None
    creates: tuple[Created, ...] = ()
    steps: tuple[Step, ...] = ()
    deletes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    touches: tuple[str, ...] = ()  # identifiers of objects whose packets follow later
    starts: tuple[tuple[str, str], ...] = ()  # nodes, and scripts that run there at the start
    then: Callable[[Document], Document] | None = None  # a second change, once this one is made


def returning(result: Result) -> Answer:
    """Return an answer that is always the same."""
    return lambda _: result


DONE = returning({"Return": True})


@dataclass
class Ask:
    """A call: its parameters, and the world that it is about.

    Names that it gives out are remembered in `taken`; those of the objects that it names by
    their identifiers in `named`. A repeated call with a client token has in `again` what it
    created the first time.
    """

    operation: str
    parameters: Params
    world: World
    taken: set[str] = field(default_factory=set)
    named: dict[str, str] = field(default_factory=dict)
    again: list[str] = field(default_factory=list)
    at: float = field(default_factory=time.time)

    def __getitem__(self, key: str) -> Any:
        return self.parameters[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Return a parameter, or the default."""
        return self.parameters.get(key, default)

    def given(self, *keys: str) -> Any:
        """Return the only one of these parameters that must be given."""
        found = [self.parameters[key] for key in keys if key in self.parameters]
        if len(found) == 1:
            return found[0]
        if not found:
            message = f"The request must contain the parameter {keys[0]}"
            raise ApiError("MissingParameter", message)
        message = f"The parameters {', '.join(keys)} may not be used together"
        raise ApiError("InvalidParameterCombination", message)

    def find(self, kind: str, id_: str) -> tuple[str, ...]:
        """Return the names of the object with an identifier; ApiError where there is none."""
        ref = self.world.objects.get(id_)
        if ref is None or ref.kind != kind:
            raise missing(kind, id_)
        self.named[ref.name] = id_
        return ref.names

    def name(self, kind: str, key: str) -> str:
        """Return the own name of the object that a parameter identifies."""
        return self.find(kind, self._required(key))[-1]

    def names(self, kind: str, key: str) -> tuple[str, ...]:
        """Return the names of the object that a parameter identifies, its owner's first."""
        return self.find(kind, self._required(key))

    def all_names(self, kind: str, key: str) -> list[str]:
        """Return the own names of the objects that a list identifies."""
        return [self.find(kind, id_)[-1] for id_ in self.parameters.get(key, [])]

    def _required(self, key: str) -> str:
        if key not in self.parameters:
            raise ApiError("MissingParameter", f"The request must contain the parameter {key}")
        return str(self.parameters[key])

    def tags(self, kind: str) -> dict[str, str]:
        """Return the tags that a kind of object is to be created with."""
        found: dict[str, str] = {}
        for given in self.parameters.get("TagSpecifications") or []:
            if given.get("ResourceType") == kind:
                found |= read_tags(given.get("Tags", []))
        return found

    def new_name(self, kind: ResourceType, wanted: str | None, *owners: str) -> str:
        """Return a name for a new object that nothing has or had: as wanted, with a number."""
        if self.again:
            ref = self.world.objects.get(id_ := self.again.pop(0))
            return ref.name if ref else id_
        stem = slug(wanted or "") or f"{PREFIXES[kind]}-1"
        for number in range(1, 100_000):
            name = stem
            if number > 1:
                tail = f"-{number}"
                name = re.sub(r"-1$", "", stem)[: NAME_LENGTH - len(tail)].rstrip("-") + tail
            if self._free(kind, name, owners):
                self.taken.add(id_of(kind, *owners, name))
                if kind in ("instance", "network-interface"):
                    self.taken.add(f"node/{name}")
                return name
        raise ApiError("ResourceLimitExceeded", f"There are too many objects named {stem}")

    def _free(self, kind: ResourceType, name: str, owners: Iterable[str]) -> bool:
        id_ = id_of(kind, *owners, name)
        if id_ in self.world.objects or id_ in self.world.records or id_ in self.taken:
            return False
        if kind in ("instance", "network-interface"):
            topology = self.world.topology
            hosts = {host.name for host in topology.site.hosts}
            devices = {device.name for device in topology.site.devices}
            others = {*topology.network_interfaces, *topology.instances, *hosts, *devices}
            return name not in others and f"node/{name}" not in self.taken
        return True

    def zone(self) -> str | None:
        """Return the Availability Zone that a call names, by its name or identifier."""
        zones = self.world.topology.region.zones
        given = self.get("AvailabilityZone") or self.get("AvailabilityZoneId")
        if given is None or given in zones:
            return str(given) if given else None
        for zone in zones:
            if self.world.zone_id(zone) == given:
                return zone
        message = f"Value ({given}) for parameter availabilityZone is invalid."
        raise ApiError("InvalidParameterValue", f"{message} Subnets can currently only be created"
            f" in the following availability zones: {', '.join(zones)}.")  # fmt: skip


def missing(kind: str, id_: str) -> ApiError:
    """Return the error for an object that there is not."""
    if kind in KINDS:
        code, words = KINDS[kind].missing
        text = words.format(noun=KINDS[kind].noun, name=id_, owner="")
        return ApiError(code or "InvalidParameterValue", text)
    noun = kind.replace("-", " ")
    return ApiError(
        MISSING.get(kind, "InvalidParameterValue"), f"The {noun} ID '{id_}' does not exist"
    )


def slug(text: str) -> str:
    """Return a text as a name of the document's; empty where nothing of it can be one."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:NAME_LENGTH].strip("-")


def read_tags(tags: Iterable[Params]) -> dict[str, str]:
    """Return tags by key; ApiError where AWS refuses one (AWS: tag restrictions)."""
    found = {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in tags}
    for key, value in found.items():
        if key.lower().startswith("aws:"):
            message = "Tag keys starting with 'aws:' are reserved for internal use"
            raise ApiError("InvalidParameterValue", message)
        if not 1 <= len(key) <= 128 or len(value) > 256:
            message = f"Tag key {key[:20]!r}: a key has 1 to 128 characters, a value at most 256"
            raise ApiError("InvalidParameterValue", message)
    if len(found) > 50:
        raise ApiError("TagLimitExceeded", "The maximum number of tags is 50.")
    return found


Looking = Callable[[Ask], Result]
Changing = Callable[[Ask], Work]


@dataclass(frozen=True)
class Operation:
    """An operation of a service: a function that looks, or one that changes something.

    `needs_states` says that it needs what `testbed status` says. With a `program`, a process of
    a node, that is asked where it is there, once `check` has found nothing to refuse.
    """

    service: str
    name: str
    look: Looking | None = None
    change: Changing | None = None
    needs_states: bool = False
    program: tuple[str, str] | None = None
    check: Callable[[Params], None] = lambda _: None


OPERATIONS: dict[tuple[str, str], Operation] = {}


def looks(name: str, service: str = "ec2", *, states: bool = False) -> Callable[[Looking], Looking]:
    """Declare a function as the operation `name`, which only looks."""

    def declare(function: Looking) -> Looking:
        OPERATIONS[service, name] = Operation(service, name, look=function, needs_states=states)
        return function

    return declare


def asks(
    name: str,
    service: str,
    program: tuple[str, str],
    without: Looking,
    check: Callable[[Params], None] = lambda _: None,
) -> None:
    """Declare the operation `name` as one that a program of the testbed's answers.

    `without` answers where the program does not run.
    """
    operation = Operation(service, name, look=without, program=program, check=check)
    OPERATIONS[service, name] = operation


def changes(name: str, service: str = "ec2") -> Callable[[Changing], Changing]:
    """Declare a function as the operation `name`, which changes something."""

    def declare(function: Changing) -> Changing:
        OPERATIONS[service, name] = Operation(service, name, change=function)
        return function

    return declare


def edit(*parts: Change | Step) -> Callable[[Document], Document]:
    """Return one change of these operations and steps, in order."""

    def change(document: Document) -> Document:
        for part in parts:
            if isinstance(part, Change):
                document = part(document)
            else:
                document = replace(document, data=part(dict(document.data)))
        return document

    return change
