"""VPC peering connections; one that is not accepted yet is only in its record."""

from __future__ import annotations

from typing import Any, Final

from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import DONE, Ask, Created, Result, Work, changes, edit, looks
from testbed.api.records import record
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.ids import ACCOUNT

KIND: Final = "vpc-peering-connection"
MEMBER: Final = "VpcPeeringConnection"
KEY: Final = "VpcPeeringConnectionId"


def describe(world: World, id_: str, requester: str, accepter: str, code: str) -> dict[str, Any]:
    """Return a peering connection as answers have it."""
    messages = {"active": "Active", "pending-acceptance": f"Pending Acceptance by {ACCOUNT}"}
    row: dict[str, Any] = {
        KEY: id_,
        "Status": {"Code": code, "Message": messages.get(code, code.capitalize())},
        "Tags": world.tags(id_),
    }
    for member, vpc in (("RequesterVpcInfo", requester), ("AccepterVpcInfo", accepter)):
        about = {"OwnerId": ACCOUNT, "VpcId": world.id("vpc", vpc), "Region": world.region}
        if vpc in world.topology.vpcs:
            cidr = str(world.topology.vpcs[vpc].cidr)
            about |= {"CidrBlock": cidr, "CidrBlockSet": [{"CidrBlock": cidr}]}  # type: ignore[dict-item]
        options = (
            "AllowDnsResolutionFromRemoteVpc",
            "AllowEgressFromLocalClassicLinkToRemoteVpc",
            "AllowEgressFromLocalVpcToRemoteClassicLink",
        )
        about["PeeringOptions"] = dict.fromkeys(options, False)  # type: ignore[assignment]
        row[member] = about
    return row


def _rows(world: World) -> list[dict[str, Any]]:
    connections = world.topology.region.vpc_peering_connections.values()
    rows = [
        describe(world, world.id(KIND, each.name), each.requester, each.accepter, "active")
        for each in connections
    ]
    for id_, given in world.alone(KIND):
        rows.append(
            describe(world, id_, given["requester"], given["accepter"], "pending-acceptance")
        )
    for id_, entry in world.records.items():
        if id_.startswith("pcx-") and entry.get("deleted"):
            given = entry.get("values", {})
            if given:
                rows.append(describe(world, id_, given["requester"], given["accepter"], "deleted"))
    return rows


@looks("DescribeVpcPeeringConnections")
def describe_vpc_peering_connections(ask: Ask) -> Result:
    """Describe peering connections."""
    key = f"{MEMBER}s"
    ids = (f"{KEY}s", KEY, KIND)
    aliases = {"status-code": "Status.Code", "status-message": "Status.Message"}
    for side in ("requester", "accepter"):
        info = f"{side.capitalize()}VpcInfo"
        aliases |= {
            f"{side}-vpc-info.{word}": f"{info}.{word}"
            for word in ("vpc-id", "cidr-block", "owner-id")
        }
    return {key: select(ask, _rows(ask.world), key, ids=ids, aliases=aliases)}


@changes("CreateVpcPeeringConnection")
def create_vpc_peering_connection(ask: Ask) -> Work:
    """Ask for a peering connection of two VPCs of this account and Region."""
    requester, accepter = ask.name("vpc", "VpcId"), ask.name("vpc", "PeerVpcId")
    if ask.get("PeerRegion", ask.world.region) != ask.world.region:
        raise ApiError("UnsupportedOperation", "Peering between Regions is not emulated here.")
    tags = ask.tags(KIND)
    name = ask.new_name(KIND, tags.get("Name"))
    values = {"name": name, "requester": requester, "accepter": accepter}
    id_ = id_of(KIND, name)

    def answer(world: World) -> Result:
        return {MEMBER: describe(world, id_, requester, accepter, "pending-acceptance")}

    return Work(creates=(Created(id_, tags, values, kind=KIND),), answer=answer)


def _waiting(ask: Ask) -> dict[str, Any]:
    """Return the values of a connection that waits to be accepted."""
    ask.names(KIND, KEY)
    record_ = ask.world.records.get(ask[KEY], {})
    if record_.get("kind") != KIND:
        message = f"The vpcPeeringConnection ID '{ask[KEY]}' is not in the state pending-acceptance"
        raise ApiError("InvalidStateTransition", message)
    values: dict[str, Any] = record_["values"]
    return values


@changes("AcceptVpcPeeringConnection")
def accept_vpc_peering_connection(ask: Ask) -> Work:
    """Accept a peering connection: from now on it is there."""
    given = _waiting(ask)
    change = editing.create_vpc_peering_connection(
        vpc_peering_connection=given["name"],
        vpc=given["requester"],
        peer_vpc=given["accepter"],
    )

    def answer(world: World) -> Result:
        row = describe(world, ask[KEY], given["requester"], given["accepter"], "active")
        return {MEMBER: row}

    return Work(change=edit(change), steps=(record(ask[KEY], kind=None, values={}),), answer=answer)


@changes("RejectVpcPeeringConnection")
def reject_vpc_peering_connection(ask: Ask) -> Work:
    """Reject a peering connection."""
    _waiting(ask)
    return Work(deletes={ask[KEY]: {}}, answer=DONE)


@changes("DeleteVpcPeeringConnection")
def delete_vpc_peering_connection(ask: Ask) -> Work:
    """Delete a peering connection, accepted or not."""
    [name] = ask.names(KIND, KEY)
    connection = ask.world.topology.region.vpc_peering_connections.get(name)
    if connection is None:
        return Work(deletes={ask[KEY]: {}}, answer=DONE)
    change = editing.delete_vpc_peering_connection(vpc_peering_connection=name)
    last = {"requester": connection.requester, "accepter": connection.accepter}
    return Work(change=edit(change), deletes={ask[KEY]: last}, answer=DONE)
