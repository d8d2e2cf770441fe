"""What is sent of a plan where the other side has nearly the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import Genes, make_plan

from testbed.errors import ConflictError, UsageError
from testbed.plan import edits
from testbed.plan.checks import LinkCheck
from testbed.plan.model import Fault, Interface, Loopback, Node, Plan
from testbed.plan.patch import applied, digested, patch
from testbed.plan.roles import Role


def node(name: str, *addresses: str) -> Node:
    interfaces = (Interface("lo", Loopback(), addresses=addresses),)
    return Node(name, Role.HOST, "g", interfaces=interfaces)


def sent(old: Plan, new: Plan) -> Plan:
    """The plan that comes of a patch that has crossed a socket."""
    made = json.loads(json.dumps(patch(digested(old), digested(new))))
    return applied(old, made)


PLAN = Plan("p", (node("a"), node("b"), node("c")), (LinkCheck("a", "lo"), LinkCheck("b", "lo")))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    mutations=st.sampled_from((2, 10, 40, 150)),
    first=st.integers(0, 1 << 30),
    second=st.integers(0, 1 << 30),
    shuffle=st.randoms(use_true_random=False),
)
def test_a_patch_leads_from_any_plan_to_any_other(
    seed: int, mutations: int, first: int, second: int, shuffle: object
) -> None:
    old = make_plan(Genes(seed, mutations, first))
    new = make_plan(Genes(seed, mutations, second))
    nodes = list(new.nodes)
    shuffle.shuffle(nodes)  # type: ignore[attr-defined]
    checks = tuple(LinkCheck(each.name, "lo") for each in nodes[:5])
    for other in (new, replace(new, nodes=tuple(nodes), checks=checks)):
        assert sent(old, other) == other
        assert sent(other, old) == old


def test_only_what_differs_is_sent_and_the_rest_stays_the_same_object() -> None:
    new = replace(
        PLAN,
        nodes=(node("a"), node("a2"), node("b", "10.0.0.1/32"), node("c")),
        checks=(PLAN.checks[0], LinkCheck("a2", "lo"), PLAN.checks[1]),
    )
    made = patch(digested(PLAN), digested(new))
    assert [entry["node"]["name"] for entry in made["added"]] == ["a2"]
    assert made["changed"].keys() == {"b"}
    assert "order" not in made
    assert made["checks"][:2] == [1, 1]
    after = applied(PLAN, made)
    assert after == new
    assert after.nodes[0] is PLAN.nodes[0]
    assert applied(PLAN, patch(digested(PLAN), digested(PLAN))).checks is PLAN.checks


def test_members_of_the_plan_itself() -> None:
    new = replace(PLAN, seed=5, faults=(Fault("link-down", "a:lo", {"loss": 3.5}, name="x"),))
    assert sent(PLAN, new) == new
    assert sent(new, PLAN) == PLAN


def test_digests_tell_plans_apart_and_are_taken_over() -> None:
    before = digested(PLAN)
    changed = replace(PLAN, nodes=(node("a"), node("b"), node("c", "10.0.0.1/32")))
    assert digested(changed, before) == digested(changed)
    assert digested(changed).digest != before.digest
    assert digested(replace(PLAN, checks=())).digest != before.digest
    assert digested(replace(PLAN, nodes=PLAN.nodes[::-1])).digest != before.digest


def test_a_patch_of_another_plan_is_refused() -> None:
    made = patch(digested(PLAN), digested(replace(PLAN, nodes=(*PLAN.nodes, node("d")))))
    with pytest.raises(ConflictError, match="another plan"):
        applied(replace(PLAN, nodes=()), made)
    made["added"][0]["node"]["role"] = "nothing"
    with pytest.raises(UsageError, match="role"):
        applied(PLAN, made)


LINES = st.lists(st.sampled_from(["", "a", "b", "set { 1, 2 }", "set { 1, 3 }", "ä\u2028x"]))


@given(LINES, LINES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_texts_are_edited_line_by_line(
    old: list[str], new: list[str], newline: str, ends: bool
) -> None:
    before = replace(node("a"), nftables=newline.join(old), files={"x": "1", "y": "2\n"})
    text = newline.join(new) + newline * ends
    after = replace(node("a"), nftables=text, files={"y": text, "z": ""})
    made = json.loads(json.dumps(edits.members(before, after)))
    assert edits.applied(before, made) == after


def test_of_a_long_text_little_is_sent() -> None:
    def text(*changed: int) -> str:
        rows = [f"eni-{n} : {n in changed}" for n in range(1000)]
        return f"first\nelements = {{ {', '.join(rows)} }}\n" + "".join(f"{r}\n" for r in rows)

    made = edits.members(
        replace(node("a"), nftables=text()), replace(node("a"), nftables=text(500) + "more\n")
    )
    assert len(json.dumps(made)) < 200
