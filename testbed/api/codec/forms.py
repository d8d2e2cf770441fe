"""Parameters of the protocols ec2 and query: HTML forms with dotted names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from botocore.model import Shape

from testbed.api.codec.scalars import read_scalar
from testbed.api.errors import ApiError

Tree = dict[str, Any]
DEPTH = 32  # of a parameter's name


def read_form(shape: Shape, pairs: Iterable[tuple[str, str]], *, ec2: bool) -> dict[str, Any]:
    """Return the parameters that a form has."""
    found: dict[str, Any] = _structure(shape, _tree(pairs), "", ec2=ec2)
    return found


def wire_name(shape: Shape, name: str, *, ec2: bool) -> str:
    """Return what a member of a structure is called in a form."""
    said = shape.serialization
    if not ec2:
        return str(said.get("name", name))
    if "queryName" in said:
        return str(said["queryName"])
    given = str(said.get("name", name))
    return given[:1].upper() + given[1:]


def _tree(pairs: Iterable[tuple[str, str]]) -> Tree:
    root: Tree = {}
    for name, value in pairs:
        *steps, last = name.split(".")
        node: Any = root
        for step in steps[:DEPTH]:
            node = node.setdefault(step, {})
            if not isinstance(node, dict):
                break
        if not isinstance(node, dict) or isinstance(node.get(last), dict) or len(steps) > DEPTH:
            message = f"The parameter {name[:100]} is given twice, or in two forms."
            raise ApiError("InvalidParameterCombination", message)
        node[last] = value
    return root


def _read(shape: Shape, node: Any, path: str, *, ec2: bool) -> Any:
    match shape.type_name:
        case "structure":
            return _structure(shape, node, path, ec2=ec2)
        case "list":
            return _list(shape, node, path, ec2=ec2)
        case "map":
            return _map(shape, node, path, ec2=ec2)
        case _:
            return read_scalar(shape, node, path)


def _structure(shape: Any, node: Any, path: str, *, ec2: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    left = dict(_mapping(node, path))
    for member, inner in shape.members.items():
        name = wire_name(inner, member, ec2=ec2)
        if not ec2 and inner.type_name == "list" and inner.serialization.get("flattened"):
            name = str(inner.member.serialization.get("name", name))
        if name in left:
            found[member] = _read(inner, left.pop(name), _below(path, name), ec2=ec2)
    if left:
        name = _below(path, next(iter(left)))
        raise ApiError("UnknownParameter", f"The parameter {name[:100]} is not recognized")
    return found


def _list(shape: Any, node: Any, path: str, *, ec2: bool) -> list[Any]:
    if node == "":
        return []
    if not ec2 and not shape.serialization.get("flattened"):
        node = _mapping(node, path).get(shape.member.serialization.get("name", "member"), {})
    return [_read(shape.member, each, path, ec2=ec2) for each in _numbered(node, path)]


def _map(shape: Any, node: Any, path: str, *, ec2: bool) -> dict[Any, Any]:
    flat = shape.serialization.get("flattened")
    rows = _numbered(node if flat else _mapping(node, path).get("entry", {}), path)
    key = shape.key.serialization.get("name", "key")
    value = shape.value.serialization.get("name", "value")
    return {
        _mapping(row, path).get(key): _read(shape.value, row.get(value), path, ec2=ec2)
        for row in rows
    }


def _numbered(node: Any, path: str) -> list[Any]:
    """Return what has the names 1, 2 and so on."""
    rows = _mapping(node, path)
    if not all(name.isascii() and name.isdigit() and len(name) < 10 for name in rows):
        raise _invalid(next(iter(rows)), path)
    return [rows[name] for name in sorted(rows, key=int)]


def _mapping(node: Any, path: str) -> Tree:
    if not isinstance(node, dict):
        raise _invalid(node, path)
    return node


def _invalid(value: Any, path: str) -> ApiError:
    message = f"Value ({str(value)[:100]}) for parameter {path} is invalid."
    return ApiError("InvalidParameterValue", message)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
