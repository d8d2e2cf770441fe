"""Private hosted zones and their records, as Route 53 has them."""

from __future__ import annotations

from typing import Any, Literal

from testbed.errors import Path
from testbed.topology.editing.arguments import without
from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.kinds import HOSTED_ZONE, VPC
from testbed.topology.editing.named import add, change, remove, require
from testbed.topology.editing.tree import Data

CHANGES = ("CREATE", "UPSERT", "DELETE")
TYPE, TTL_S = "A", 300  # a record's, where it says nothing else


@operation
def create_hosted_zone(data: Data, *, hosted_zone: str, vpc: str) -> Data:
    """Create a private hosted zone, named by its domain, and associate it with a VPC."""
    require(data, VPC, vpc)
    return add(data, HOSTED_ZONE, (hosted_zone,), {"vpcs": [vpc]})


@operation
def delete_hosted_zone(data: Data, *, hosted_zone: str) -> Data:
    """Delete a private hosted zone that has no records."""
    if require(data, HOSTED_ZONE, hosted_zone).get("records"):
        message = (
            "The specified hosted zone contains non-required resource record sets and so cannot"
            " be deleted."
        )
        path = (*HOSTED_ZONE.path(hosted_zone), "records")
        raise EditError("HostedZoneNotEmpty", message, path, "delete its records first")
    return remove(data, HOSTED_ZONE, hosted_zone)


@operation
def associate_vpc_with_hosted_zone(data: Data, *, hosted_zone: str, vpc: str) -> Data:
    """Let the resolver of another VPC answer for a private hosted zone."""
    require(data, VPC, vpc)
    vpcs = require(data, HOSTED_ZONE, hosted_zone)["vpcs"]
    if vpc in map(str, vpcs):
        message = f"The VPC {vpc} is associated with the hosted zone already."
        path = (*HOSTED_ZONE.path(hosted_zone), "vpcs")
        raise EditError("ConflictingDomainExists", message, path)
    return change(data, HOSTED_ZONE, (hosted_zone,), {"vpcs": [*vpcs, vpc]})


@operation
def disassociate_vpc_from_hosted_zone(data: Data, *, hosted_zone: str, vpc: str) -> Data:
    """End a VPC's association with a private hosted zone; at least one must remain."""
    vpcs = require(data, HOSTED_ZONE, hosted_zone)["vpcs"]
    path = (*HOSTED_ZONE.path(hosted_zone), "vpcs")
    if vpc not in map(str, vpcs):
        message = f"The VPC {vpc} and the hosted zone {hosted_zone} are not associated."
        raise EditError("VPCAssociationNotFound", message, path)
    if len(vpcs) == 1:
        message = f"The VPC {vpc} is the last one that {hosted_zone} is associated with."
        raise EditError("LastVPCAssociation", message, path, "delete the hosted zone")
    return change(data, HOSTED_ZONE, (hosted_zone,), {"vpcs": without(vpcs, [vpc])})


@operation
def change_resource_record_sets(
    data: Data,
    *,
    hosted_zone: str,
    action: Literal["CREATE", "UPSERT", "DELETE"],
    name: str | None = None,
    type: str = TYPE,  # noqa: A002 - Route 53's word
    ttl: int = TTL_S,
    values: list[str] | None = None,
) -> Data:
    """Create, change or delete a record; without `name`, that of the zone itself.

    A name is relative to the zone's, or complete.
    """
    records = list(require(data, HOSTED_ZONE, hosted_zone).get("records", []))
    path = (*HOSTED_ZONE.path(hosted_zone), "records")
    own = _relative(name, hosted_zone)
    index = next((i for i, r in enumerate(records) if _key(r, hosted_zone) == (own, type)), None)
    _check(path, action, index, f"[name='{own or hosted_zone}', type='{type}']")
    given = {"name": own or None, "type": type, "ttl": ttl, "values": values or []}
    defaults = {"name": None, "type": TYPE, "ttl": TTL_S}
    record = {key: v for key, v in given.items() if key not in defaults or v != defaults[key]}
    if index is not None:
        del records[index]
    if action != "DELETE":
        records.insert(len(records) if index is None else index, record)
    return change(data, HOSTED_ZONE, (hosted_zone,), {"records": records})


def _check(path: Path, action: str, index: int | None, record: str) -> None:
    if action not in CHANGES:
        message = f"Invalid change action: {action}"
        raise EditError("InvalidInput", message, path, f"it is one of {', '.join(CHANGES)}")
    message = ""
    if action == "CREATE" and index is not None:
        message = f"Tried to create resource record set {record} but it already exists"
    if action == "DELETE" and index is None:
        message = f"Tried to delete resource record set {record} but it was not found"
    if message:
        raise EditError("InvalidChangeBatch", message, path)


def _relative(name: Any, zone: str) -> str:
    """Return a record's name relative to its zone's; empty for the zone's own."""
    text = str(name or "").removesuffix(".").lower()
    zone = zone.removesuffix(".").lower()
    return "" if text == zone else text.removesuffix(f".{zone}")


def _key(record: Data, zone: str) -> tuple[str, str]:
    return _relative(record.get("name"), zone), str(record.get("type", TYPE))
