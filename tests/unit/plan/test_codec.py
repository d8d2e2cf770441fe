from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import Genes, make_plan

from testbed.errors import UsageError
from testbed.plan.codec import from_json, to_json
from testbed.plan.model import Interface, Loopback, Node, Plan, Veth
from testbed.plan.roles import Role


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 30))
def test_a_plan_survives_the_way_through_json(seed: int) -> None:
    plan = make_plan(Genes(seed))
    assert from_json(json.loads(json.dumps(to_json(plan)))) == plan


def test_defaults_are_left_out_and_unions_tagged() -> None:
    plan = Plan("p", (Node("a", Role.HOST, "g", interfaces=(Interface("lo", Loopback()),)),))
    node = {
        "name": "a",
        "role": "host",
        "group": "g",
        "interfaces": [{"name": "lo", "device": {"kind": "loopback"}}],
    }
    assert to_json(plan) == {"name": "p", "nodes": [node]}


def test_a_changed_default_is_kept() -> None:
    down = Interface("e", Veth("b", "e"), up=False)
    plan = Plan(
        "p", (Node("a", Role.HOST, "g", interfaces=(down, replace(down, name="f", up=True))),)
    )
    first, second = to_json(plan)["nodes"][0]["interfaces"]
    assert first["up"] is False
    assert "up" not in second


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ([], "plan: must be an object"),
        ({"name": "p"}, "plan: no nodes"),
        ({"name": 1, "nodes": []}, "plan.name: must be a string"),
        ({"name": "p", "nodes": [], "more": 1}, "plan: unknown member 'more'"),
        ({"name": "p", "nodes": {}}, "plan.nodes: must be a list"),
        ({"name": "p", "nodes": [], "checks": [{"kind": "x"}]}, "plan.checks: kind must be one of"),
        (
            {"name": "p", "nodes": [{"name": "a", "role": "wan", "group": "", "files": {"f": 1}}]},
            "plan.nodes.files.f: must be a string",
        ),
        (
            {"name": "p", "nodes": [{"name": "a", "role": "king", "group": ""}]},
            "plan.nodes.role: must be one of region-edge, region-fabric,",
        ),
    ],
)
def test_what_is_no_plan_is_refused_with_its_place(data: object, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_json(data)  # type: ignore[arg-type]
    assert caught.value.message.startswith(complaint)
