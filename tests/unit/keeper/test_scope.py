"""What is waited for after a change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from testbed.keeper.scope import Scope, scope_of
from testbed.lifecycle.installation import of_document
from testbed.lower import lower
from testbed.plan.diff import diff
from testbed.topology.document import resolve
from testbed.topology.editing import (
    Change,
    authorize_security_group_ingress,
    enable_security_groups,
    modify_site_device,
    modify_wan,
    run_instances,
    terminate_instances,
)
from testbed.topology.file.load import load_document

FILE = Path(__file__).parents[3] / "topologies" / "two-racks.yaml"


def scope_after(*changes: Change) -> tuple[Scope, list[str]]:
    """What the last of some changes touches, and the titles of what is waited for."""
    document = load_document(FILE)
    for change in changes[:-1]:
        document = change(document)
    topology = resolve(document)
    old = lower(topology)
    new = of_document(changes[-1](document), topology.numbers.to_json()).plan
    scope = scope_of(old, new, diff(old, new))
    return scope, [str(getattr(check, "title", check)) for check in scope.checks(new)]


def test_a_new_instance_waits_for_itself_its_router_and_its_resolver() -> None:
    scope, _ = scope_after(run_instances(instances=["q"], subnet="rack-a"))
    assert not scope.everything
    assert scope.nodes == {"q", "op-a.vpc-app", "region.dns-app"}


def test_an_instance_that_goes() -> None:
    scope, _ = scope_after(
        run_instances(instances=["q"], subnet="rack-a"), terminate_instances(instances=["q"])
    )
    assert not scope.everything
    assert {"op-a.vpc-app", "region.dns-app"} <= scope.nodes


def test_a_rule_of_a_security_group_waits_for_the_routers_of_its_vpc() -> None:
    rule = authorize_security_group_ingress(
        vpc="app", group="default", ip_protocol="icmp", cidr_ip="192.168.10.0/24"
    )
    scope, _ = scope_after(enable_security_groups(vpc="app"), rule)
    assert not scope.everything
    assert scope.nodes == {"op-a.vpc-app", "op-b.vpc-app", "region.vpc-app"}


def test_a_delay_waits_for_nothing() -> None:
    scope, waited = scope_after(modify_wan(delay="7ms"))
    assert (scope.everything, waited) == (False, [])


@pytest.mark.parametrize("asn", [64999])
def test_what_a_routing_daemon_is_told_waits_for_everything(asn: int) -> None:
    scope, waited = scope_after(modify_site_device(device="cnd1", asn=asn))
    assert scope.told
    assert any("tunnel" in title or "op-b" in title for title in waited)


def test_a_scope_grows() -> None:
    document = load_document(FILE)
    plan = lower(resolve(document))
    scope = Scope(nodes={"a"})
    assert {check.node for check in scope.checks(plan)} == {"a"}
    scope.add(Scope(nodes={"b"}))
    assert {check.node for check in scope.checks(plan)} == {"a", "b"}
    scope.add(Scope(everything=True))
    assert scope.checks(plan) == list(plan.checks)
    assert scope_of(plan, replace(plan, checks=()), []).nodes == set()
