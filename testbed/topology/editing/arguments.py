"""Arguments of operations: one of several, lists that grow and shrink, CIDR blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Any

from testbed.errors import Path, shorten
from testbed.topology.editing.change import EditError


def one_of(path: Path, choice: type, given: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the one argument of `choice`, a TypedDict, that is given; EditError otherwise."""
    names = [*choice.__annotations__]
    there = {key: given[key] for key in names if given.get(key) not in (None, False)}
    if len(there) == 1:
        return there.popitem()
    if there:
        message = f"The parameters {' and '.join(there)} cannot be used together"
        raise EditError("InvalidParameterCombination", message, path, "give one of them")
    message = f"The request must contain the parameter {' or '.join(names)}"
    raise EditError("MissingParameter", message, path, "give one of them")


def same_block(one: Any, other: Any) -> bool:
    """Whether two CIDR blocks are one, however they are written."""
    try:
        return bool(ip_network(str(one)) == ip_network(str(other)))
    except ValueError:
        return str(one) == str(other)


def without(there: Iterable[Any], gone: Iterable[Any]) -> list[Any]:
    """Return the values of a list that are not to go."""
    names = {str(value) for value in gone}
    return [value for value in there if str(value) not in names]


def only_known(there: Iterable[Any], wanted: Iterable[Any], error: EditError) -> None:
    """Raise `error` where `wanted` has a value that is not there; it is formatted with it."""
    known = {str(value) for value in there}
    for value in wanted:
        if str(value) not in known:
            raise EditError(
                error.aws_code,
                error.message.format(shorten(str(value))),
                error.path,
                error.remedy,
            )
