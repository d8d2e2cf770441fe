"""Every kind of fault on a plan, combinations of them, and what heals them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.errors import TopologyError, UsageError
from testbed.faults import catalog
from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.plan import codec
from testbed.plan import steps as s
from testbed.plan.diff import diff
from testbed.plan.model import Fault, Plan, Vlan
from testbed.topology.file.load import loads, parse
from testbed.topology.schema import FaultForm

ROOT = Path(__file__).parents[3]
FILE = ROOT / "tests" / "packets" / "faults.yaml"
PLAN = lower_topology(load_topology(FILE, {}))
BFD = lower_topology(load_topology(FILE.with_name("bfd.yaml"), {}))
VALUES: dict[str, dict[str, Any]] = {
    "vlan-wrong": {"vid": 77},
    "mtu": {"mtu": 1400, "ends": "both"},
    "impair": {"delay": "50ms", "loss": "1%"},
    "route-leaked": {"prefix": "10.9.0.0/16"},
    "firewall": {"protocol": "udp", "port": 443},
    "service-link-slow": {"rate": "10M"},
    "bgp-prefix-limit": {"limit": 1},
    "route-wrong": {"destination": "10.200.0.0/27", "via": "100.64.0.1"},
}
TARGETS = {
    "link-down": ("cnd1:op_1", "op.lag2", "cnd2:op.1002"),
    "vlan-removed": ("cnd1:op.1001", "op.ond2:bond0.2002"),
    "vlan-wrong": ("cnd1:op.1001",),
    "vlans-swapped": ("op.lag1", "cnd2:op"),
    "mtu": ("cnd1:op", "web", "cnd1:region"),
    "impair": ("cnd1:op", "fw1:region", "op.ond1:uplink2", "web"),
    "lacp-slow": ("op.lag1", "cnd2:op_1"),
    "lacp-silent": ("op.lag1", "cnd2:op_1"),
    "lag-member-missing": ("cnd1:op_2",),
    "bgp-reset": ("cnd1", "cnd2:op.1002"),
    "bgp-blocked": ("cnd1", "cnd2:op.1002"),
    "bgp-wrong-asn": ("cnd1:op.1001", "cnd2:op.1002", "op.ond1:bond0.1001"),
    "route-withdrawn": ("cnd1", "cnd2:op.2002", "region.edge"),
    "route-leaked": ("cnd1", "cnd2:op.2002", "op.ond1:bond0.2001"),
    "device-drained": ("op.ond1", "op.ond2", "cnd1", "cnd2"),
    "firewall": ("fw1", "cnd1"),
    "nat-exhausted": ("fw1",),
    "service-link-cut": ("op",),
    "service-link-slow": ("op",),
    "region-api-down": ("op", "region"),
    "node-stopped": ("cnd1", "op.ond2", "web", "op.host1", "desk"),
    "host-down": ("op.server1",),
    "rack-down": ("op.rack1",),
    "route-missing": ("web", "desk"),
    "vlan-untagged": ("cnd1:op.1001", "op.ond2:bond0.2002"),
    "fibre-one-way": ("cnd1:op_1", "op.lag2", "fw1:region"),
    "bgp-md5": ("cnd1", "cnd2:op.1002", "op.ond1:bond0.1001"),
    "bgp-prefix-limit": ("cnd1:op.1001", "cnd2:op.1002", "fw1"),
    "bfd-missing": ("cnd1:op.1001", "cnd2:op.1002"),
    "fragments-dropped": ("fw1", "cnd2"),
    "icmp-errors-dropped": ("fw1", "region.fabric"),
    "route-wrong": ("cnd1",),
    "address-duplicate": ("desk", "cnd1:lan_office"),
}
ALL = [(kind, target) for kind, targets in TARGETS.items() for target in targets]
OF_ONE_PLAN = [entry for entry in ALL if entry[0] != "bfd-missing"]


def make(kind: str, target: str, name: str = "") -> Fault:
    return catalog.make(kind, target, VALUES.get(kind, {}), name=name or kind)


def test_every_kind_is_tried() -> None:
    assert set(TARGETS) == set(catalog.KINDS)


@pytest.mark.parametrize(("kind", "target"), ALL)
def test_each_changes_something_and_can_be_taken_back(kind: str, target: str) -> None:
    plan = BFD if kind == "bfd-missing" else PLAN
    broken = catalog.compose(plan, [make(kind, target)])
    assert diff(plan, broken)
    assert diff(broken, plan)
    assert [node.name for node in broken.nodes] == [node.name for node in plan.nodes]
    assert codec.from_json(codec.to_json(broken)) == broken


def test_no_faults_leave_the_plan_as_it_is() -> None:
    assert catalog.compose(PLAN, []) is PLAN


@given(st.lists(st.sampled_from(OF_ONE_PLAN), min_size=2, max_size=5), st.randoms())
@settings(max_examples=60, deadline=None)
def test_the_order_does_not_matter(chosen: list[tuple[str, str]], random: object) -> None:
    faults = [make(kind, target, f"f{n}") for n, (kind, target) in enumerate(chosen)]
    try:
        broken = catalog.compose(PLAN, faults)
    except UsageError:
        return  # two that exclude each other: in any order
    shuffled = list(faults)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert catalog.compose(PLAN, shuffled) == broken


@given(st.lists(st.sampled_from(OF_ONE_PLAN), min_size=1, max_size=4, unique=True), st.data())
@settings(max_examples=60, deadline=None)
def test_healing_one_leaves_the_others(chosen: list[tuple[str, str]], data: st.DataObject) -> None:
    """What is composed after healing is what it would be had there been no such fault."""
    faults = [make(kind, target, f"f{n}") for n, (kind, target) in enumerate(chosen)]
    healed = data.draw(st.sampled_from(faults))
    left = [fault for fault in faults if fault is not healed]
    try:
        broken = catalog.compose(PLAN, faults)
        rest = catalog.compose(PLAN, left)
    except UsageError:
        return
    assert not diff(rest, catalog.compose(PLAN, left))
    # The converse does not hold: of a node that is stopped the kernel has no routes to begin with.
    assert broken != rest or not diff(broken, rest)


def test_two_on_one_interface_both_count() -> None:
    first = catalog.make("impair", "fw1:region", {"delay": "10ms", "loss": 50}, name="a")
    second = catalog.make("impair", "fw1:region", {"delay": 5, "loss": 50, "rate": "1M"}, name="b")
    alone = catalog.compose(PLAN, [first]).node("fw1").interface("region").netem
    both = catalog.compose(PLAN, [first, second]).node("fw1").interface("region").netem
    assert alone is not None
    assert both is not None
    assert both.delay_ms == pytest.approx(alone.delay_ms + 5)
    assert both.loss_percent == pytest.approx(75)
    assert both.rate_mbps == 1
    assert both.limit >= 100


def test_the_lowest_mtu_counts_and_vlans_go_along() -> None:
    faults = [
        catalog.make("mtu", "op.lag1", {"mtu": mtu, "ends": "both"}, name=f"m{mtu}")
        for mtu in (1400, 1300)
    ]
    plan = catalog.compose(PLAN, faults)
    for node, name in (("op.ond1", "bond0"), ("op.ond1", "bond0.1001"), ("cnd1", "op.2001")):
        assert plan.node(node).interface(name).mtu == 1300


def test_swapped_vlans() -> None:
    node = catalog.compose(PLAN, [make("vlans-swapped", "op.lag1")]).node("op.ond1")
    assert node.interface("bond0.1001").device == Vlan("bond0", 2001)
    assert node.interface("bond0.2001").device == Vlan("bond0", 1001)


@pytest.mark.parametrize("drained", [(1,), (2,), (1, 2)])
def test_a_drained_ond_is_what_the_topology_makes_of_it(drained: tuple[int, ...]) -> None:
    names = ", ".join(map(str, drained))
    text = FILE.read_text().replace("{op: {", f"{{op: {{drained: [{names}], ")
    wanted = lower_topology(loads(text, file=str(FILE)))
    faults = [make("device-drained", f"op.ond{n}", f"d{n}") for n in drained]
    assert catalog.compose(PLAN, faults) == wanted


def test_draining_where_one_is_drained_already() -> None:
    one = FILE.read_text().replace("{op: {", "{op: {drained: [1], ")
    both = FILE.read_text().replace("{op: {", "{op: {drained: [1, 2], ")
    plan = lower_topology(loads(one, file=str(FILE)))
    wanted = lower_topology(loads(both, file=str(FILE)))
    assert catalog.compose(plan, [make("device-drained", "op.ond2")]) == wanted


def test_a_reset_is_carried_out_once() -> None:
    broken = catalog.compose(PLAN, [make("bgp-reset", "cnd1")])
    assert [type(step) for step in diff(PLAN, broken)] == [s.SetRuleset, s.AbortConnections]
    assert not diff(broken, broken)
    assert [type(step) for step in diff(broken, PLAN)] == [s.SetRuleset]


def test_tables_of_two_faults_do_not_clash() -> None:
    faults = [make("firewall", "fw1", "a"), make("firewall", "fw1", "b")]
    tables = re.findall(
        r"^table .*\{", catalog.compose(PLAN, faults).node("fw1").nftables, re.MULTILINE
    )
    assert len(tables) == len(set(tables)) == 4  # two of its own


@pytest.mark.parametrize(
    ("kind", "target", "values", "told"),
    [
        ("link-dwn", "web", {}, "did you mean 'link-down'"),
        ("impair", "web", {"dealy": 1}, "did you mean 'delay'?"),
        ("impair", "web", {}, "needs one of delay"),
        ("impair", "web", {"delay": "fast"}, "is not a time"),
        ("impair", "web", {"loss": "101%"}, "is not a share"),
        ("impair", "web", {"rate": 0}, "is not a rate"),
        ("impair", "web", {"rate": True}, "is not a rate"),
        ("impair", "web", {"reorder": 10}, "needs a delay"),
        ("mtu", "cnd1:op_1", {"mtu": 1400}, "target the LAG: cnd1:op"),
        ("mtu", "web", {}, "needs mtu"),
        ("mtu", "web", {"mtu": 12.5}, "whole number from 576"),
        ("vlan-wrong", "web", {"vid": 5}, "is not a VLAN interface"),
        ("vlan-wrong", "cnd1:op.1001", {"vid": 2001}, "already has VID 2001"),
        ("vlans-swapped", "web", {}, "has 0 VLANs, not two"),
        ("lacp-slow", "web", {}, "is neither a LAG"),
        ("lag-member-missing", "cnd1:op", {}, "target one of its members: op_1, op_2"),
        ("node-stopped", "wbe", {}, "did you mean 'web'?"),
        ("node-stopped", "web:eth0", {}, "needs a whole node"),
        ("link-down", "cnd1", {}, "NODE:INTERFACE"),
        ("link-down", "cnd1:op_3", {}, "did you mean cnd1:op_"),
        ("link-down", "op.lag3", {}, "it has op.lag1, op.lag2"),
        ("service-link-cut", "opp", {}, "did you mean 'op'?"),
        ("service-link-cut", "op", {"tunnel": 3}, "from 1 to 2"),
        ("bgp-reset", "web", {}, "does not speak BGP"),
        ("bgp-reset", "cnd1:lan_office", {}, "no BGP session over"),
        ("route-leaked", "cnd1", {"prefix": "10.9.0.1/16"}, "is not an address"),
        ("route-leaked", "cnd1", {"prefix": "2001:db8::/32"}, "IPv4"),
        ("route-missing", "web", {"destination": "10.9.0.0/16"}, "its static routes: 0.0.0.0/0"),
        ("nat-exhausted", "cnd1", {}, "does not translate"),
        ("firewall", "fw1", {}, "needs at least one condition"),
        ("firewall", "fw1", {"port": 80}, "needs --protocol"),
        (
            "firewall",
            "fw1",
            {"source": "10.0.0.0/8", "destination": "2001:db8::/32"},
            "one is IPv4",
        ),
        ("firewall", "fw1", {"protocol": "tcp", "port": "90-80"}, "is not a port"),
    ],
)
def test_what_is_wrong_is_said(
    kind: str, target: str, values: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        catalog.compose(PLAN, [catalog.make(kind, target, values, name="x")])
    assert told in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ({"at_s": -1}, "at '-1' is not a time"),
        ({"for_s": 0}, "lasts at least"),
        ({"every_s": 5}, "`every` needs a shorter `for`"),
        ({"every_s": 5, "for_s": 5}, "`every` needs a shorter `for`"),
        ({"at_s": "soon"}, "is not a time"),
        ({"at_s": float("nan")}, "is not a time"),
        ({"name": "A b"}, "is not a name"),
    ],
)
def test_wrong_times_and_names(times: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        catalog.make("node-stopped", "web", {}, **times)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("5s", 5), ("1m30s", 90), (2.5, 2.5), ("2", 2), ("500ms", 0.5), ("1h", 3600)],
)
def test_times(text: object, wanted: float) -> None:
    assert catalog.make("node-stopped", "web", {}, at_s=text).at_s == wanted


def test_the_topologys_form_has_every_parameter() -> None:
    parameters = {p.name for kind in catalog.KINDS.values() for p in kind.parameters}
    keys = set(FaultForm.model_fields) - {"kind", "target", "name", "at", "lasts", "every"}
    assert keys == parameters


def declared(lines: str) -> Plan:
    source = parse(f"{FILE.read_text()}faults:\n{lines}", file="wrong.yaml")
    with source.placing():
        return lower_topology(source.resolve()[1])


def test_declared_faults_are_in_the_plan() -> None:
    plan = declared(
        "  - {kind: impair, target: 'cnd1:op', loss: 1%}\n"
        "  - {kind: impair, target: web, delay: 5ms, at: 30s, for: 500ms, every: 2s}\n"
    )
    assert plan.faults == (
        Fault("impair", "cnd1:op", {"loss": 1.0, "ends": "one"}, name="impair"),
        Fault("impair", "web", {"delay": 5.0, "ends": "one"}, 30.0, 0.5, 2.0, "impair-2"),
    )
    assert codec.from_json(codec.to_json(plan)) == plan
    assert replace(plan, faults=()) == PLAN


def test_declared_faults_that_are_wrong_are_shown_where_they_are() -> None:
    lines = FILE.read_text().count("\n")
    with pytest.raises(TopologyError) as caught:
        declared(
            "  - {kind: impair, target: 'cnd1:po', loss: 1%}\n"
            "  - {kind: node-stoped, target: web}\n"
            "  - {kind: node-stopped, target: web}\n"
            "  - {kind: link-down, target: web, loss: 1%}\n"
        )
    assert [(p.line - lines, p.column, p.object) for p in caught.value.problems] == [
        (2, 5, "faults[0]"),
        (3, 5, "faults[1]"),
        (5, 5, "faults[3]"),
    ]
    assert "it has op, op_1" in str(caught.value.problems[0].hint)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.floats() | st.integers()))
@settings(max_examples=200, deadline=None)
def test_no_input_makes_it_stumble(values: dict[str, object]) -> None:
    for kind in ("impair", "mtu", "firewall", "route-leaked"):
        names = [p.name for p in catalog.KINDS[kind].parameters]
        given_values = dict(zip(names, values.values(), strict=False)) or values
        try:
            catalog.compose(PLAN, [catalog.make(kind, "web", given_values, name="x")])
        except UsageError:
            continue
