"""Bodies in XML: answers of ec2 and query, and both ways of rest-xml."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

from botocore.model import Shape

from testbed.api.codec.jsons import name_of
from testbed.api.codec.scalars import read_scalar, write_text
from testbed.api.errors import ApiError

# What XML 1.0 cannot hold, however it is written.
_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def load(body: bytes) -> ET.Element:
    """Return the root of a body; ApiError where it is not XML, or declares entities."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise ApiError("MalformedXML", "Document type declarations are not allowed.")
    try:
        return ET.fromstring(body)  # noqa: S314 - no entities, see above
    except (ET.ParseError, ValueError):
        raise ApiError("MalformedXML", "The XML is not well-formed.") from None


def dump(root: ET.Element) -> bytes:
    """Return a document's text."""
    text: bytes = ET.tostring(root, "utf-8", xml_declaration=True)
    return text


def read(shape: Shape, element: ET.Element) -> Any:
    """Return an element's value in the types of its shape."""
    inner: Any = shape
    match shape.type_name:
        case "structure":
            return _read_members(inner, element)
        case "list":
            return [read(inner.member, child) for child in element]
        case "map":
            return dict(_entry(inner, child) for child in element)
        case _:
            return read_scalar(shape, element.text or "")


def _read_members(shape: Any, element: ET.Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for member, inner in shape.members.items():
        said = inner.serialization
        name = name_of(inner, member)
        if said.get("location"):
            continue
        if said.get("xmlAttribute"):
            own = name.rpartition(":")[2]
            for key, value in element.attrib.items():
                if local(key) == own:
                    found[member] = read_scalar(inner, value, own)
            continue
        flat = said.get("flattened")
        if flat and inner.type_name == "list":
            name = name_of(inner.member, name)
        children = [child for child in element if local(child.tag) == name]
        if not children:
            continue
        if flat and inner.type_name == "list":
            found[member] = [read(inner.member, child) for child in children]
        elif flat and inner.type_name == "map":
            found[member] = dict(_entry(inner, child) for child in children)
        else:
            found[member] = read(inner, children[-1])
    return found


def _entry(shape: Any, element: ET.Element) -> tuple[str, Any]:
    children = {local(child.tag): child for child in element}
    key, value = name_of(shape.key, "key"), name_of(shape.value, "value")
    if key not in children or value not in children:
        raise ApiError("MalformedXML", f"An entry of {shape.name} has no {key} and {value}.")
    return children[key].text or "", read(shape.value, children[value])


def local(tag: str) -> str:
    """Return a tag without its namespace."""
    return tag.rpartition("}")[2]


def write_members(shape: Any, value: Any, parent: ET.Element, item: str = "member") -> None:
    """Append the members of a structure; list entries without a name are called `item`."""
    for member, inner in shape.members.items():
        if value.get(member) is not None and inner.serialization.get("location") is None:
            _write(inner, value[member], parent, name_of(inner, member), item)


def _write(shape: Shape, value: Any, parent: ET.Element, name: str, item: str) -> None:
    inner: Any = shape
    said = shape.serialization
    if said.get("flattened") and shape.type_name == "list":
        for each in value:
            _write(inner.member, each, parent, name_of(inner.member, name), item)
        return
    if said.get("flattened") and shape.type_name == "map":
        for key, each in value.items():
            _write_entry(inner, key, each, ET.SubElement(parent, name), item)
        return
    if said.get("xmlAttribute"):
        parent.set(name, clean(write_text(shape, value)))
        return
    _write_element(inner, value, _element(shape, parent, name), item)


def _element(shape: Shape, parent: ET.Element, name: str) -> ET.Element:
    element = ET.SubElement(parent, name)
    space = shape.serialization.get("xmlNamespace")
    if space and space.get("prefix"):
        element.set(f"xmlns:{space['prefix']}", space["uri"])
    return element


def _write_element(shape: Any, value: Any, element: ET.Element, item: str) -> None:
    inner = shape
    match shape.type_name:
        case "structure":
            write_members(inner, value, element, item)
        case "list":
            for each in value:
                _write(inner.member, each, element, name_of(inner.member, item), item)
        case "map":
            for key, each in value.items():
                _write_entry(inner, key, each, ET.SubElement(element, "entry"), item)
        case _:
            element.text = clean(write_text(shape, value))


def _write_entry(shape: Any, key: str, value: Any, row: ET.Element, item: str) -> None:
    _write(shape.key, key, row, name_of(shape.key, "key"), item)
    _write(shape.value, value, row, name_of(shape.value, "value"), item)


def clean(text: str) -> str:
    """Return a text without the characters that XML has no way to write."""
    return _IMPOSSIBLE.sub("\ufffd", text)
