"""Elastic IP addresses and customer-owned ones, and their associations."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

from testbed.errors import Path
from testbed.plan.json_diff import lookup
from testbed.topology.editing.arguments import one_of
from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.kinds import ADDRESS, COIP_POOL, INSTANCE
from testbed.topology.editing.named import Kind, add, change, refuse_used, remove, require
from testbed.topology.editing.network_interfaces import kind_of
from testbed.topology.editing.tree import Data, put

OWNED = "customer_owned_ip"


class Holder(TypedDict, total=False):
    """Whose private address it is: a network interface's, or an instance's primary one's."""

    instance: str
    network_interface: str


class Which(TypedDict, total=False):
    """Which address: one that is allocated, or an address by itself, `auto` for a free one."""

    allocation: str
    public_ip: str
    customer_owned_ip: str


class Association(Holder, Which, total=False):
    """A private address's owner, and what is to stand for it."""


class Associated(Holder, total=False):
    """What has an address: by its allocation, or by the private address's owner."""

    allocation: str


@operation
def allocate_address(
    data: Data,
    *,
    allocation: str,
    address: str | None = None,
    customer_owned_ipv4_pool: str | None = None,
) -> Data:
    """Allocate an Elastic IP address, or a customer-owned one from a pool, OUTPOST/POOL.

    Without `address` it is one that nobody has.
    """
    if customer_owned_ipv4_pool is not None:
        outpost, _, pool = customer_owned_ipv4_pool.partition("/")
        require(data, COIP_POOL, outpost, pool)
    values = {"address": address, "pool": customer_owned_ipv4_pool}
    return add(data, ADDRESS, (allocation,), values)


@operation
def release_address(data: Data, *, allocation: str) -> Data:
    """Release an allocated address that is not associated."""
    return remove(data, ADDRESS, allocation)


@operation
def associate_address(
    data: Data, *, private_ip_address: str | None = None, **association: Unpack[Association]
) -> Data:
    """Associate an address with a private address, by default the primary one.

    It is an allocated one or, without being allocated, an address, or `auto` for a free one.
    """
    kind, name = _holder(data, association)
    which, address = one_of(kind.path(name), Which, association)
    owned = which == OWNED
    if which == "allocation":
        owned = require(data, ADDRESS, address).get("pool") is not None
        message = f"resource {address} is already associated"
        error = EditError("Resource.AlreadyAssociated", message, ADDRESS.path(address))
        refuse_used(ADDRESS.uses(data, address), error)
    path = _path(data, kind, name, private_ip_address, owned=owned)
    if (there := lookup(data, path)) is not None:
        message = f"resource {name} is already associated with the address {there}"
        raise EditError("Resource.AlreadyAssociated", message, path, "disassociate it first")
    return change(data, kind, (name,), {path[2:]: address})


@operation
def disassociate_address(
    data: Data,
    *,
    private_ip_address: str | None = None,
    customer_owned: bool = False,
    **holder: Unpack[Associated],
) -> Data:
    """Disassociate an allocated address, or the one that a private address has.

    Of a private address it is that with its Elastic IP, or with its customer-owned address.
    """
    which, name = one_of(("addresses",), Associated, holder)
    if which == "allocation":
        require(data, ADDRESS, name)
        paths = [use for use in ADDRESS.uses(data, name) if use[0] != "vpcs"]
        place = ADDRESS.path(name)
    else:
        kind, name = _holder(data, holder)
        place = _path(data, kind, name, private_ip_address, owned=customer_owned)
        paths = [place] if lookup(data, place) is not None else []
    if not paths:
        message = f"The association of an address with {name} does not exist"
        raise EditError("InvalidAssociationID.NotFound", message, place)
    for path in paths:
        data = put(data, path, None)
    return data


def _holder(data: Data, given: Any) -> tuple[Kind, str]:
    """Return kind and name of what has the private address."""
    word, name = one_of(("network_interfaces",), Holder, given)
    kind = INSTANCE if word == "instance" else kind_of(data, name)
    require(data, kind, name)
    return kind, str(name)


def _path(data: Data, kind: Kind, name: str, private: str | None, *, owned: bool) -> Path:
    """Return where the document says which address stands for a private one."""
    path = kind.path(name)
    if owned:
        return (*path, OWNED)
    if private is None or private == lookup(data, (*path, "address")):
        return (*path, "elastic_ip")
    return (*path, "elastic_ips", private)
