"""DHCP option sets, which only their records have until a VPC gets one."""

from __future__ import annotations

from typing import Any

from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.objects import id_of
from testbed.api.operations import Ask, Created, Result, Work, changes, looks
from testbed.api.world import World
from testbed.topology.ids import ACCOUNT

ALIASES = {"key": "DhcpConfigurations.Key", "value": "DhcpConfigurations.Values.Value"}
KNOWN = ("domain-name", "domain-name-servers")


def describe(world: World, id_: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return a DHCP option set as answers have it."""
    configurations = []
    for key, given in options.items():
        texts = given if isinstance(given, list) else [given]
        configurations.append({"Key": key, "Values": [{"Value": text} for text in texts]})
    return {
        "DhcpOptionsId": id_,
        "DhcpConfigurations": configurations,
        "OwnerId": ACCOUNT,
        "Tags": world.tags(id_),
    }


@looks("DescribeDhcpOptions")
def describe_dhcp_options(ask: Ask) -> Result:
    """Describe DHCP option sets, the Region's default one among them."""
    domain = ask.world.topology.region.internal_domain
    default = {"domain-name": domain, "domain-name-servers": ["AmazonProvidedDNS"]}
    rows = [describe(ask.world, id_of("dhcp-options", "default"), default)]
    rows += [describe(ask.world, id_, each) for id_, each in ask.world.alone("dhcp-options")]
    ids = ("DhcpOptionsIds", "DhcpOptionsId", "dhcp-options")
    found = select(ask, rows, "DhcpOptions", ids=ids, aliases=ALIASES)
    return {"DhcpOptions": found}


@changes("CreateDhcpOptions")
def create_dhcp_options(ask: Ask) -> Work:
    """Create a DHCP option set; a VPC gets it by AssociateDhcpOptions."""
    options: dict[str, Any] = {}
    for given in ask["DhcpConfigurations"]:
        key, texts = given.get("Key"), [str(text) for text in given.get("Values", [])]
        if key not in KNOWN:
            message = f"The DHCP option {key} is not emulated here; {' and '.join(KNOWN)} are."
            raise ApiError("UnsupportedOperation", message)
        options[key] = texts if key == "domain-name-servers" else " ".join(texts)
    tags = ask.tags("dhcp-options")
    id_ = id_of("dhcp-options", ask.new_name("dhcp-options", tags.get("Name")))
    return Work(
        creates=(Created(id_, tags, options, kind="dhcp-options"),),
        answer=lambda world: {"DhcpOptions": describe(world, id_, options)},
    )


@changes("DeleteDhcpOptions")
def delete_dhcp_options(ask: Ask) -> Work:
    """Delete a DHCP option set that no VPC has."""
    id_ = ask["DhcpOptionsId"]
    ask.find("dhcp-options", id_)
    for record in ask.world.records.values():
        if record.get("values", {}).get("dhcp_options") == id_:
            message = f"The dhcpOptions '{id_}' has dependencies and cannot be deleted."
            raise ApiError("DependencyViolation", message)
    return Work(deletes={id_: {}}, answer=lambda _: {})
