"""Elastic IP addresses, and customer-owned ones that are allocated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import (
    Ask,
    Created,
    Result,
    Work,
    changes,
    edit,
    looks,
    missing,
    returning,
)
from testbed.api.racks import pool_of
from testbed.api.world import World
from testbed.topology import editing
from testbed.topology.ids import ACCOUNT
from testbed.topology.model import AllocatedAddress, NetworkInterface

KIND: Final = "elastic-ip"
ASSOCIATION: Final = "elastic-ip-association"
ALIASES = {
    "association-id": "AssociationId",
    "domain": "Domain",
    "public-ip": "PublicIp",
}


@dataclass(frozen=True)
class Association:
    """What a private address of an interface has: an address that stands for it outside."""

    interface: NetworkInterface
    private: str
    public: str
    owned: bool

    def id(self, world: World) -> str:
        """Return the association's identifier."""
        allocation = allocation_id(world, self.interface, self.public)
        return id_of(ASSOCIATION, allocation, self.interface.name, self.private)


def allocation_id(world: World, interface: NetworkInterface, public: str) -> str:
    """Return the identifier of an address's allocation; one that the file gives has one, too."""
    for name, allocated in world.topology.addresses.items():
        if str(allocated.address) == public:
            return world.id(KIND, name)
    return id_of(KIND, interface.name, public)


def associations(world: World) -> Iterator[Association]:
    """Find all associations."""
    for interface in world.topology.network_interfaces.values():
        for private, public in interface.elastic_ips:
            yield Association(interface, str(private), str(public), owned=False)
        if interface.customer_owned_ip is not None:
            owned = str(interface.customer_owned_ip)
            yield Association(interface, str(interface.address), owned, owned=True)


def describe(world: World, allocated: AllocatedAddress) -> dict[str, Any]:
    """Return an allocated address as answers have it."""
    address = str(allocated.address)
    row = {
        "AllocationId": world.id(KIND, allocated.name),
        "Domain": "vpc",
        "NetworkBorderGroup": world.region,
        "Tags": world.tags(world.id(KIND, allocated.name)),
    }
    if allocated.pool is None:
        row |= {"PublicIp": address, "PublicIpv4Pool": "amazon"}
    else:
        table, own = pool_of(world.topology, *allocated.pool)
        pool = world.id("coip-pool", table.name, own.name)
        row |= {"CustomerOwnedIp": address, "CustomerOwnedIpv4Pool": pool}
    return row


def _associated(world: World, association: Association) -> dict[str, Any]:
    interface = association.interface
    row = {
        "AssociationId": association.id(world),
        "NetworkInterfaceId": world.id("network-interface", interface.name),
        "NetworkInterfaceOwnerId": ACCOUNT,
        "PrivateIpAddress": association.private,
    }
    if interface.instance is not None:
        row["InstanceId"] = world.id("instance", interface.instance)
    return row


@looks("DescribeAddresses")
def describe_addresses(ask: Ask) -> Result:
    """Describe allocated addresses, with what they are associated with."""
    used = {each.public: each for each in associations(ask.world)}
    rows = []
    for allocated in ask.world.topology.addresses.values():
        row = describe(ask.world, allocated)
        if (association := used.get(str(allocated.address))) is not None:
            row |= _associated(ask.world, association)
        rows.append(row)
    if wanted := ask.get("PublicIps"):
        rows = [row for row in rows if row.get("PublicIp") in wanted]
        if not rows:
            raise ApiError("InvalidAddress.NotFound", f"Address '{wanted[0]}' not found.")
    ids = ("AllocationIds", "AllocationId", KIND)
    found = select(ask, rows, "Addresses", ids=ids, aliases=ALIASES)
    return {"Addresses": found}


@looks("DescribeAddressesAttribute")
def describe_addresses_attribute(ask: Ask) -> Result:
    """Describe the reverse DNS names of addresses: there are none."""
    rows = [describe(ask.world, each) for each in ask.world.topology.addresses.values()]
    wanted = ask.get("AllocationIds")
    found = [row for row in rows if not wanted or row["AllocationId"] in wanted]
    keys = ("AllocationId", "PublicIp")
    return {"Addresses": [{key: row[key] for key in keys if key in row} for row in found]}


@changes("AllocateAddress")
def allocate_address(ask: Ask) -> Work:
    """Allocate an Elastic IP address, or a customer-owned one from a pool."""
    pool = None
    if "CustomerOwnedIpv4Pool" in ask.parameters:
        table, own = ask.names("coip-pool", "CustomerOwnedIpv4Pool")
        pool = f"{table.partition('/')[0]}/{own}"
    if ask.get("PublicIpv4Pool", "amazon") != "amazon":
        raise ApiError("UnsupportedOperation", "Pools of your own addresses are not emulated here.")
    tags = ask.tags(KIND)
    name = ask.new_name(KIND, tags.get("Name"))
    change = editing.allocate_address(
        allocation=name, address=ask.get("Address"), customer_owned_ipv4_pool=pool
    )

    def answer(world: World) -> Result:
        row = describe(world, world.topology.addresses[name])
        row.pop("Tags")
        return row

    return Work(change=edit(change), creates=(Created(id_of(KIND, name), tags),), answer=answer)


def _allocation(ask: Ask) -> tuple[str, str]:
    """Return the name and the identifier of the address that a call is about."""
    if "AllocationId" in ask.parameters:
        return ask.name(KIND, "AllocationId"), ask["AllocationId"]
    public = ask.given("PublicIp")
    for name, allocated in ask.world.topology.addresses.items():
        if str(allocated.address) == public:
            return name, ask.world.id(KIND, name)
    raise ApiError("InvalidAddress.NotFound", f"Address '{public}' not found.")


@changes("ReleaseAddress")
def release_address(ask: Ask) -> Work:
    """Release an address that is not associated."""
    name, id_ = _allocation(ask)
    change = editing.release_address(allocation=name)
    return Work(change=edit(change), deletes={id_: {}}, answer=lambda _: {})


@changes("AssociateAddress")
def associate_address(ask: Ask) -> Work:
    """Associate an address with a network interface or an instance's primary one."""
    allocation, id_ = _allocation(ask)
    holder: dict[str, Any] = {}
    if "NetworkInterfaceId" in ask.parameters:
        holder["network_interface"] = ask.name("network-interface", "NetworkInterfaceId")
    else:
        holder["instance"] = ask.name("instance", "InstanceId")
    name = next(iter(holder.values()))
    interface = ask.world.topology.network_interfaces[name]
    private = ask.get("PrivateIpAddress")
    parts = []
    allocated = ask.world.topology.addresses[allocation]
    for each in associations(ask.world):
        same = each.public == str(allocated.address)
        there = each.interface.name == name and each.owned == (allocated.pool is not None)
        here = there and each.private == (private or str(interface.address))
        if same and here:
            return Work(answer=returning({"AssociationId": each.id(ask.world)}))
        if (same or here) and ask.get("AllowReassociation", True):
            parts.append(_ended(ask.world, each))
    change = editing.associate_address(allocation=allocation, private_ip_address=private, **holder)
    where = private or str(interface.address)
    result = {"AssociationId": id_of(ASSOCIATION, id_, name, where)}
    return Work(change=edit(*parts, change), touches=(id_,), answer=lambda _: result)


def _ended(world: World, association: Association) -> editing.Change:
    """Return the change that ends an association."""
    interface = association.interface
    for name, allocated in world.topology.addresses.items():
        if str(allocated.address) == association.public:
            return editing.disassociate_address(allocation=name)
    if interface.requester is not None:
        message = "You do not have permission to access the specified resource."
        raise ApiError("AuthFailure", message)
    return editing.disassociate_address(
        network_interface=interface.name,
        private_ip_address=None if association.owned else association.private,
        customer_owned=association.owned,
    )


@changes("DisassociateAddress")
def disassociate_address(ask: Ask) -> Work:
    """End the association of an address."""
    wanted = ask.given("AssociationId", "PublicIp")
    for association in associations(ask.world):
        if wanted in (association.id(ask.world), association.public):
            return Work(change=edit(_ended(ask.world, association)), answer=lambda _: {})
    raise missing(ASSOCIATION, wanted)
