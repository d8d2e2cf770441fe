"""Elastic IP addresses and customer-owned ones: which private address they stand for."""

from __future__ import annotations

from typing import TypedDict, Unpack

from testbed.errors import Path
from testbed.topology.editing.arguments import one_of
from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.kinds import INSTANCE
from testbed.topology.editing.named import Kind, change, require
from testbed.topology.editing.network_interfaces import kind_of
from testbed.topology.editing.tree import Data, get

OWNED = "customer_owned_ip"


class Holder(TypedDict, total=False):
    """Whose private address it is: a network interface's, or an instance's primary one's."""

    instance: str
    network_interface: str


class Which(TypedDict, total=False):
    """Which address: an Elastic IP or a customer-owned one, `auto` for one that is free."""

    public_ip: str
    customer_owned_ip: str


class Association(Holder, Which, total=False):
    """A private address's owner, and what is to stand for it."""


@operation
def associate_address(
    data: Data, *, private_ip_address: str | None = None, **association: Unpack[Association]
) -> Data:
    """Associate an address with a private address, the primary one where none is named."""
    kind, name = _holder(data, association)
    which, address = one_of(kind.path(name), Which, association)
    path = _path(data, kind, name, private_ip_address, owned=which == OWNED)
    if (there := get(data, path)) is not None:
        message = f"resource {name} is already associated with the address {there}"
        raise EditError("Resource.AlreadyAssociated", message, path, "disassociate it first")
    return change(data, kind, (name,), {path[2:]: address})


@operation
def disassociate_address(
    data: Data,
    *,
    private_ip_address: str | None = None,
    customer_owned: bool = False,
    **holder: Unpack[Holder],
) -> Data:
    """End the association of a private address with its Elastic IP, or customer-owned address."""
    kind, name = _holder(data, holder)
    path = _path(data, kind, name, private_ip_address, owned=customer_owned)
    if get(data, path) is None:
        message = f"The association of an address with {name} does not exist"
        raise EditError("InvalidAssociationID.NotFound", message, path)
    return change(data, kind, (name,), {path[2:]: None})


def _holder(data: Data, given: Holder | Association) -> tuple[Kind, str]:
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
    if private is None or private == get(data, (*path, "address")):
        return (*path, "elastic_ip")
    return (*path, "elastic_ips", private)
