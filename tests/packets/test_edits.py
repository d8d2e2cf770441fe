"""Operations on a running testbed: packets follow them, what is refused changes nothing."""

from __future__ import annotations

import pytest

from testbed.testing import Testbed
from testbed.topology.editing import (
    EditError,
    authorize_security_group_ingress,
    create_route,
    delete_route,
    delete_subnet,
    enable_security_groups,
    modify_instance_attribute,
    run_instances,
    start_instances,
    stop_instances,
    terminate_instances,
    together,
)

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/two-racks-blocked.yaml")]

TO_A, TO_B = "10.77.7.0/24", "10.77.11.0/24"


def reaches(testbed: Testbed, source: str, destination: str) -> bool:
    """Whether pings are answered."""
    return testbed[source].ping(destination, count=2).received == 2


def names(testbed: Testbed) -> set[str]:
    """The names of all nodes."""
    return {node.name for node in testbed.plan.nodes}


def test_routes_that_are_created_and_deleted(testbed: Testbed) -> None:
    assert not reaches(testbed, "a", "b")
    testbed.edit(
        together(
            create_route(
                vpc="app",
                route_table="rack-a",
                destination_cidr_block=TO_B,
                local_gateway="op-a",
            ),
            create_route(
                vpc="app",
                route_table="rack-b",
                destination_cidr_block=TO_A,
                local_gateway="op-b",
            ),
        )
    )
    assert reaches(testbed, "a", "b")
    testbed.edit(delete_route(vpc="app", route_table="rack-a", destination_cidr_block=TO_B))
    assert not reaches(testbed, "a", "b")


def test_security_groups_that_a_vpc_begins_to_have(testbed: Testbed) -> None:
    assert reaches(testbed, "desk", "a")
    testbed.edit(enable_security_groups(vpc="app"))
    assert not reaches(testbed, "desk", "a")
    testbed.edit(
        authorize_security_group_ingress(
            vpc="app", group="default", ip_protocol="icmp", cidr_ip="192.168.10.0/24"
        )
    )
    assert reaches(testbed, "desk", "a")


def test_instances_that_come_and_go(testbed: Testbed) -> None:
    testbed.edit(run_instances(instances=["new"], subnet="rack-a"))
    assert reaches(testbed, "desk", "new")
    testbed.edit(stop_instances(instances=["new"]))
    assert "new" not in names(testbed)
    testbed.edit(
        together(
            modify_instance_attribute(instance="new", instance_type="m5.large"),
            start_instances(instances=["new"]),
        )
    )
    assert reaches(testbed, "desk", "new")
    testbed.edit(terminate_instances(instances=["new"]))
    assert "new" not in names(testbed)


def test_what_is_refused_changes_nothing(testbed: Testbed) -> None:
    plan = testbed.plan
    with pytest.raises(EditError, match="DependencyViolation"):
        testbed.edit(delete_subnet(vpc="app", subnet="rack-a"))
    assert testbed.plan == plan
    assert reaches(testbed, "desk", "a")
