from __future__ import annotations

from dataclasses import replace

from fake_kernel import FakeKernel, wanted
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import Genes, make_plan

from testbed.plan import steps as s
from testbed.plan.diff import diff
from testbed.plan.model import (
    Bond,
    Interface,
    Node,
    Plan,
    Process,
    Route,
    Veth,
    Vlan,
    WireGuard,
)
from testbed.plan.roles import Role

EMPTY = Plan("random", ())


def check_journey(*plans: Plan) -> None:
    kernel = FakeKernel()
    here = EMPTY
    for plan in plans:
        kernel.run(diff(here, plan))
        assert kernel.state() == wanted(plan)
        assert diff(plan, plan) == []
        here = plan


@settings(max_examples=400, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    mutations=st.sampled_from((2, 10, 40, 150)),
    first=st.integers(0, 1 << 30),
    second=st.integers(0, 1 << 30),
)
def test_steps_lead_from_any_plan_to_any_similar_one_and_back(
    seed: int, mutations: int, first: int, second: int
) -> None:
    a = make_plan(Genes(seed, mutations, first))
    b = make_plan(Genes(seed, mutations, second))
    check_journey(a, b, a, EMPTY)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(0, 1 << 30))
def test_steps_lead_from_any_plan_to_any_other(first: int, second: int) -> None:
    a, b = make_plan(Genes(first)), make_plan(Genes(second))
    check_journey(a, b, a, EMPTY, b)


def router(name: str, other: str, **changes: object) -> Node:
    node = Node(
        name,
        Role.VPC_ROUTER,
        "g",
        interfaces=(
            Interface("e0", Veth(other, "e0"), master="bond0"),
            Interface("e1", Veth(other, "e1"), master="bond0"),
            Interface("bond0", Bond()),
            Interface("sl", Vlan("bond0", 5), addresses=("10.0.0.1/31",)),
        ),
        routes=(Route("10.1.0.0/16", via="10.0.0.0", dev="sl"),),
        files={"bird.conf": "x"},
        processes=(Process("bird", ("bird",), ("bird.conf",), "bird"),),
    )
    return replace(node, **changes)  # type: ignore[arg-type]


def set_down(node: Node, interface: str) -> Node:
    interfaces = (replace(i, up=False) if i.name == interface else i for i in node.interfaces)
    return replace(node, interfaces=tuple(interfaces))


PAIR = Plan("pair", (router("a", "b"), router("b", "a")))


def kinds(steps: list[s.Step]) -> list[str]:
    return [type(step).__name__ for step in steps]


def test_a_pair_of_veths_is_one_step_of_the_node_that_is_first() -> None:
    made = [step for step in diff(EMPTY, PAIR) if isinstance(step, s.CreateInterface)]
    cables = [step for step in made if step.interface.device.kind == "veth"]
    assert [(c.node, c.interface.name, c.peer and c.peer.name) for c in cables] == [
        ("a", "e0", "e0"),
        ("a", "e1", "e1"),
    ]


def test_a_link_that_goes_down_is_one_step() -> None:
    faulty = Plan("pair", (set_down(PAIR.nodes[0], "e0"), PAIR.nodes[1]))
    (step,) = diff(PAIR, faulty)
    assert isinstance(step, s.SetInterface)
    assert (step.node, step.interface.name, step.changed) == ("a", "e0", ("up",))
    (step,) = diff(faulty, PAIR)
    assert isinstance(step, s.SetInterface)
    assert step.interface.up


def test_a_bond_that_comes_back_gets_its_vlans_routes_back() -> None:
    faulty = Plan("pair", (set_down(PAIR.nodes[0], "bond0"), PAIR.nodes[1]))
    assert kinds(diff(PAIR, faulty)) == ["DeleteRoute", "SetInterface", "SetInterface"]
    assert kinds(diff(faulty, PAIR)) == ["SetInterface", "SetInterface", "SetRoute"]


def test_a_changed_configuration_reloads_its_daemon_only() -> None:
    changed = Plan("pair", (router("a", "b", files={"bird.conf": "y"}), PAIR.nodes[1]))
    assert kinds(diff(PAIR, changed)) == ["WriteFile", "ReloadProcess"]


def test_a_daemon_that_cannot_reload_is_restarted() -> None:
    def plan(text: str) -> Plan:
        daemon = Process("frr", ("bgpd",), ("frr.conf",), "restart")
        return Plan(
            "p", (Node("a", Role.HOST, "g", files={"frr.conf": text}, processes=(daemon,)),)
        )

    assert kinds(diff(plan("x"), plan("y"))) == ["StopProcess", "WriteFile", "StartProcess"]


def test_taking_all_down_does_not_pick_nodes_apart() -> None:
    steps = kinds(diff(PAIR, EMPTY))
    assert set(steps) == {"StopProcess", "WriteFile", "DeleteNode"}


def test_a_node_that_leaves_takes_its_cables_out_of_the_nodes_that_stay() -> None:
    alone = Plan("pair", (replace(PAIR.nodes[1], interfaces=(), routes=()),))
    gone = [step for step in diff(PAIR, alone) if isinstance(step, s.DeleteInterface)]
    assert ("b", "e0") in [(step.node, step.interface) for step in gone]
    assert {step.node for step in gone} == {"b"}


def test_a_new_key_does_not_remake_the_tunnel() -> None:
    def plan(port: int, socket_node: str = "u") -> Plan:
        tunnel = Interface("wg", WireGuard(socket_node, "k", port, ()), addresses=("10.0.0.1/32",))
        return Plan(
            "p", (Node("t", Role.HOST, "g", interfaces=(tunnel,)), Node("u", Role.HOST, "g"))
        )

    assert kinds(diff(plan(443), plan(444))) == ["SetInterface"]
    assert "CreateInterface" in kinds(diff(plan(443), plan(443, "t")))


def test_the_order_of_nodes_and_their_titles_are_no_difference() -> None:
    a, b = PAIR.nodes
    assert diff(PAIR, Plan("pair", (b, replace(a, title="other", role=Role.FIREWALL)))) == []
