"""Random operations on the shipped topologies, one after the other."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from editing_examples import everything
from edits_at_random import any_change
from effort import times
from hypothesis import given, note, settings
from hypothesis import strategies as st

from testbed.errors import DocumentError
from testbed.lower import lower
from testbed.topology.document import Document, resolve
from testbed.topology.editing import OPERATIONS, Change, EditError, kinds
from testbed.topology.editing.named import Kind
from testbed.topology.editing.tree import ANY, find
from testbed.topology.file.load import load_document

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
SHIPPED = {path.stem: load_document(path) for path in sorted(TOPOLOGIES.glob("*.yaml"))}
DOCUMENTS = {**SHIPPED, "everything": everything()}
STEPS = 12

INVERSES = {
    "create": "delete",
    "add": "remove",
    "attach": "detach",
    "authorize": "revoke",
    "associate": "disassociate",
    "enable": "disable",
    "allocate": "release",
}
# What begins with nothing to compare with: a VPC filters from its first group on.
NOT_BACK = {"associate_dhcp_options", "create_security_group"}


def inverse_of(change: Change) -> Change | None:
    """The change that takes one back, where its name says which that is."""
    verb, _, rest = change.operation.partition("_")
    name = f"{INVERSES.get(verb, '')}_{rest}"
    if change.operation in NOT_BACK or name not in OPERATIONS:
        return None
    known = inspect.signature(OPERATIONS[name]).parameters
    arguments = {key: value for key, value in change.arguments.items() if key in known}
    if "customer_owned_ip" in change.arguments:
        arguments["customer_owned"] = True
    return OPERATIONS[name](**arguments)


def same(one: Document, other: Document) -> bool:
    """Whether two documents say the same, defaults written out or not."""
    return one.files == other.files and (one == other or resolve(one) == resolve(other))


def test_random_operations() -> None:
    happened: Counter[str] = Counter()

    @settings(max_examples=times(75, 2000), deadline=None)
    @given(st.sampled_from(sorted(DOCUMENTS)), st.integers(0, 2**32))
    def run(name: str, seed: int) -> None:
        random, document = Random(seed), DOCUMENTS[name]
        for _ in range(STEPS):
            document = step(document, any_change(random, document), happened)

    run()
    assert len(happened) > len(OPERATIONS) / 3, "too few operations were right to show anything"


def step(document: Document, change: Change, happened: Counter[str]) -> Document:
    """Make a change, where it is right; the document that there is then."""
    note(str(change))
    before = json.dumps(document.to_json())
    try:
        changed = change(document)
        lower(resolve(changed))
    except (EditError, DocumentError):
        return document
    finally:
        assert json.dumps(document.to_json()) == before, "a change changed what it was given"
    happened[change.operation] += 1
    inverse = inverse_of(change)
    if inverse is not None and changed != document:
        assert same(inverse(changed), document), f"{inverse} does not take {change} back"
    return changed


DELETIONS: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "delete_vpc": (kinds.VPC, ("vpc",)),
    "delete_subnet": (kinds.SUBNET, ("vpc", "subnet")),
    "delete_route_table": (kinds.ROUTE_TABLE, ("vpc", "route_table")),
    "delete_security_group": (kinds.SECURITY_GROUP, ("vpc", "group")),
    "delete_network_acl": (kinds.NETWORK_ACL, ("vpc", "network_acl")),
    "delete_nat_gateway": (kinds.NAT_GATEWAY, ("vpc", "nat_gateway")),
    "delete_vpc_endpoints": (kinds.VPC_ENDPOINT, ("vpc", "vpc_endpoints")),
    "delete_managed_prefix_list": (kinds.PREFIX_LIST, ("prefix_list",)),
    "delete_vpc_peering_connection": (kinds.VPC_PEERING_CONNECTION, ("vpc_peering_connection",)),
    "delete_transit_gateway": (kinds.TRANSIT_GATEWAY, ("transit_gateway",)),
    "delete_transit_gateway_vpc_attachment": (
        kinds.TRANSIT_GATEWAY_ATTACHMENT,
        ("transit_gateway", "transit_gateway_attachment"),
    ),
    "delete_transit_gateway_route_table": (
        kinds.TRANSIT_GATEWAY_ROUTE_TABLE,
        ("transit_gateway", "transit_gateway_route_table"),
    ),
    "terminate_instances": (kinds.INSTANCE, ("instances",)),
    "remove_process": (kinds.PROCESS, ("instance", "process")),
    "delete_network_interface": (kinds.NETWORK_INTERFACE, ("network_interface",)),
    "delete_layer2_service": (kinds.LAYER2_SERVICE, ("service",)),
    "delete_placement_group": (kinds.PLACEMENT_GROUP, ("group_name",)),
    "delete_hosted_zone": (kinds.HOSTED_ZONE, ("hosted_zone",)),
    "release_address": (kinds.ADDRESS, ("allocation",)),
    "delete_outpost": (kinds.OUTPOST, ("outpost",)),
    "delete_coip_pool": (kinds.COIP_POOL, ("local_gateway_route_table", "coip_pool")),
    "remove_site_device": (kinds.DEVICE, ("device",)),
    "remove_site_segment": (kinds.SEGMENT, ("segment",)),
    "remove_site_host": (kinds.HOST, ("host",)),
    "remove_site_firewall": (kinds.FIREWALL, ("firewall",)),
    "delete_connection": (kinds.DIRECT_CONNECT, ("connection",)),
    "delete_ecs_cluster": (kinds.ECS_CLUSTER, ("cluster",)),
    "delete_ecs_service": (kinds.ECS_SERVICE, ("cluster", "service")),
    "deregister_ecs_task_definition": (kinds.ECS_TASK_DEFINITION, ("task_definition",)),
    "deregister_ecs_container_instance": (
        kinds.ECS_CONTAINER_INSTANCE,
        ("cluster", "instance"),
    ),
    "remove_internet_host": (kinds.INTERNET_HOST, ("host",)),
}


def test_every_kind_can_be_deleted() -> None:
    there = {kind for kind in vars(kinds).values() if isinstance(kind, Kind)}
    # route tables of routing domains are called OUTPOST/DOMAIN, by one name
    by_one_name = {kinds.ROUTING_DOMAIN, kinds.DOMAINS_POOL}
    left = there - {kind for kind, _ in DELETIONS.values()}
    assert left == {kinds.LOCAL_GATEWAY_ROUTE_TABLE} | by_one_name


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_is_left_that_names_what_was_deleted(name: str) -> None:
    document = DOCUMENTS[name]
    for operation, (kind, arguments) in DELETIONS.items():
        for path, _ in find(document.data, *kind.place, ANY):
            owners = [path[i] for i, step in enumerate(kind.place) if step == ANY]
            given: dict[str, Any] = dict(zip(arguments, [*owners, path[-1]], strict=True))
            for several in {"instances", "vpc_endpoints"} & set(given):
                given[several] = [given[several]]
            try:
                resolve(OPERATIONS[operation](**given)(document))
            except EditError:
                continue
            except DocumentError as error:
                dangling = [each for each in error.violations if each.rule == "references"]
                assert not dangling, f"{operation} {given}"
