"""The customer's site: devices, links, LAN segments, hosts, firewalls, WAN, internet access."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from testbed.errors import Path
from testbed.plan.json_diff import lookup
from testbed.topology.document import Document
from testbed.topology.editing import implied
from testbed.topology.editing.change import EditError, make_operation, on_documents, operation
from testbed.topology.editing.keyed import (
    KEYS,
    Part,
    any_of,
    keys_of,
    operation_on,
    operations_on,
    operations_on_part,
    parameter,
)
from testbed.topology.editing.kinds import DEVICE, FIREWALL, HOST, SEGMENT
from testbed.topology.editing.named import require
from testbed.topology.editing.tree import Data, put, tidy
from testbed.topology.schema import LinkForm

SITE: Path = ("site",)
LINKS: Path = ("site", "links")

add_site_device, modify_site_device, remove_site_device = operations_on(
    DEVICE, "site_device", "device"
)
modify_site_device_bgp = operation_on(
    "modify_site_device_bgp", Part("a customer device's BGP settings", ("bgp",), DEVICE, "device")
)
add_site_segment, modify_site_segment, remove_site_segment = operations_on(
    SEGMENT, "site_segment", "segment"
)
add_site_host, modify_site_host, remove_site_host = operations_on(HOST, "site_host", "host")
add_site_firewall, modify_site_firewall, remove_site_firewall = operations_on(
    FIREWALL, "site_firewall", "firewall"
)
add_wan, modify_wan, remove_wan = operations_on_part("wan", Part("a WAN", (*SITE, "wan")))
add_site_internet, modify_site_internet, remove_site_internet = operations_on_part(
    "site_internet", Part("internet access of the site's own", (*SITE, "internet"))
)
modify_region_link = operation_on(
    "modify_region_link", Part("the way to the Region", (*SITE, "region_link"))
)


@operation
def modify_site(data: Data, *, link_cidr: str | None) -> Data:
    """Change the block that links get their addresses from; None is the default."""
    return put(data, (*SITE, "link_cidr"), link_cidr)


def _add_link(data: Data, *, devices: list[str], **given: Any) -> Data:
    for device in devices:
        require(data, DEVICE, device)
    there = _links(data)
    if _index(there, devices) is not None:
        message = f"{' and '.join(devices)} have a link already"
        raise EditError(None, message, LINKS, "modify it")
    return _stored(data, [*there, tidy({"devices": devices, **given}, LinkForm)])


def _modify_link(data: Data, *, devices: list[str], **given: Any) -> Data:
    there, index = _found(data, devices)
    there[index] = tidy({**there[index], **given}, LinkForm)
    return _stored(data, there)


_ENDS = parameter("devices", list[str])
_LINK = any_of(keys_of(LinkForm, but=("devices",)))
add_site_link = make_operation(
    "add_site_link", _add_link, [_ENDS, *_LINK], f"Add a link between two devices; {KEYS}."
)
modify_site_link = make_operation(
    "modify_site_link", _modify_link, [_ENDS, *_LINK], f"Change the link of two devices; {KEYS}."
)


@operation
def remove_site_link(data: Data, *, devices: list[str]) -> Data:
    """Remove the link between two customer devices."""
    there, index = _found(data, devices)
    del there[index]
    return _stored(data, there)


def _add_file(document: Document, *, file: str, text: str) -> Document:
    return replace(document, files={**document.files, file: text})


def _remove_file(document: Document, *, file: str) -> Document:
    left = {name: text for name, text in document.files.items() if name != file}
    return replace(document, files=left)


add_file = on_documents(
    "add_file",
    _add_file,
    [parameter("file", str), parameter("text", str)],
    "Add the text of a file that a device's `config` or a firewall's `ruleset` names.",
)
remove_file = on_documents(
    "remove_file",
    _remove_file,
    [parameter("file", str)],
    "Remove the text of a file that nothing names any more.",
)


def _links(data: Data) -> list[Data]:
    return list(lookup(data, LINKS, implied.links(data)))


def _stored(data: Data, links: list[Data]) -> Data:
    return put(data, LINKS, None if links == implied.links(data) else links)


def _index(links: list[Data], devices: list[str]) -> int | None:
    ends = set(devices)
    return next((i for i, link in enumerate(links) if set(map(str, link["devices"])) == ends), None)


def _found(data: Data, devices: list[str]) -> tuple[list[Data], int]:
    there = _links(data)
    index = _index(there, devices)
    if index is None:
        message = f"{' and '.join(devices)} have no link"
        raise EditError(None, message, LINKS, "add it")
    return there, index
