"""Pictures of plans."""

from __future__ import annotations

import json
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.plan.model import Interface, Node, Plan, Veth
from testbed.plan.roles import Role
from testbed.render.dot import to_dot, to_image, to_mermaid
from testbed.render.picture import draw
from testbed.render.text import to_text

from .conftest import TOPOLOGY, small_plan
from .fake_keeper import FakeKeeper

GOLDEN = Path(__file__).with_name("golden")
Call = Callable[..., Result]


@pytest.fixture(scope="module")
def two_racks() -> Plan:
    return lower_topology(load_topology(TOPOLOGY, {}))


def test_a_lag_is_one_edge_with_its_vlans(two_racks: Plan) -> None:
    picture = draw(two_racks)
    lags = [edge for edge in picture.edges if edge.kind == "lag"]
    assert {(lag.a.node, lag.b.node, lag.members) for lag in lags} == {
        ("cnd1", "op-a.ond1", 2),
        ("cnd2", "op-a.ond2", 2),
        ("cnd3", "op-b.ond1", 2),
        ("cnd4", "op-b.ond2", 2),
    }
    assert all(len(lag.vlans) == 2 and all(vlan.bgp for vlan in lag.vlans) for lag in lags)


def test_tunnels_end_where_their_endpoint_is(two_racks: Plan) -> None:
    tunnels = [edge for edge in draw(two_racks).edges if edge.kind == "tunnel"]
    assert {(edge.a.node, edge.b.node) for edge in tunnels} == {
        (f"region.anchor{index}", f"{rack}.sl") for index in (1, 2) for rack in ("op-a", "op-b")
    }


def test_every_cable_is_drawn_once(two_racks: Plan) -> None:
    edges = draw(two_racks).edges
    assert sum(edge.members for edge in edges if edge.kind in {"link", "lag"}) == 46


def test_sessions_are_listed_once() -> None:
    sessions = draw(small_plan()).sessions
    assert [(session.a.node, session.b.node) for session in sessions] == [
        ("cnd1", "op-a.ond1"),
        ("cnd1", "region.edge"),
    ]


@pytest.mark.parametrize("suffix", ["txt", "dot", "mmd"])
def test_golden(suffix: str) -> None:
    """Regenerate by hand after a wanted change: testbed graph prints the same."""
    render: dict[str, Callable[..., str]] = {"txt": to_text, "dot": to_dot, "mmd": to_mermaid}
    text = render[suffix](draw(small_plan()))
    assert text == (GOLDEN / f"small.{suffix}").read_text()


def test_text_fits_the_terminal(two_racks: Plan) -> None:
    for columns in (20, 64, 80, 100, 300):
        boxes = [line for line in to_text(draw(two_racks), columns).splitlines() if "│" in line]
        assert max(map(len, boxes)) <= max(64, min(columns, 100))


def test_every_kind_of_node_has_a_label_that_fits() -> None:
    assert all(role.label for role in Role)
    assert max(len(role.label) for role in Role) < 15


def test_text_has_region_site_and_racks_in_that_order(two_racks: Plan) -> None:
    text = to_text(draw(two_racks))
    places = [text.index(word) for word in ("─ Region", "─ Customer's site", "─ Outpost op-a")]
    assert places == sorted(places)


def test_hostile_titles_are_quoted() -> None:
    title = 'x"]; evil [label="<script>\\'
    nodes = (
        Node("a", Role.HOST, "site", title, interfaces=(Interface("eth0", Veth("b", "eth0")),)),
        Node("b", Role.HOST, "site", interfaces=(Interface("eth0", Veth("a", "eth0")),)),
    )
    picture = draw(Plan("demo", nodes))
    assert "x&quot;]; evil [label=&quot;&lt;script&gt;\\</font>" in to_dot(picture)
    assert "x#quot;]; evil [label=#quot;&lt;script&gt;" in to_mermaid(picture)


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
def test_svg(call: Call, tmp_path: Any) -> None:
    target = tmp_path / "picture.svg"
    assert call("graph", str(TOPOLOGY), "-o", str(target)).exit_code == 0
    root = ET.fromstring(target.read_text())
    assert root.tag.endswith("svg")
    assert "cnd1" in target.read_text()


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("txt", b"\xe2")]
)
def test_the_name_of_the_file_chooses_the_format(
    suffix: str, magic: bytes, call: Call, tmp_path: Path
) -> None:
    target = tmp_path / f"picture.{suffix}"
    assert call("graph", str(TOPOLOGY), "-o", str(target)).exit_code == 0
    assert target.read_bytes().startswith(magic)


def test_a_file_of_no_known_format_is_not_written(call: Call, tmp_path: Path) -> None:
    result = call("graph", str(TOPOLOGY), "-o", str(tmp_path / "picture.jpg"))
    assert result.exit_code == 2
    assert "'.jpg' is not a picture format" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
def test_racks_are_drawn_below_the_site_and_the_site_below_the_region(two_racks: Plan) -> None:
    svg = ET.fromstring(to_image(draw(two_racks), "svg"))
    row = {}
    for group in svg.iter("{http://www.w3.org/2000/svg}g"):
        outline = group.find("{http://www.w3.org/2000/svg}path")
        names = [text.text for text in group.findall("{http://www.w3.org/2000/svg}text")]
        if group.get("class") == "node" and names and outline is not None:
            numbers = [float(n) for n in re.findall(r",(-?[\d.]+)", outline.get("d", ""))]
            row[names[0]] = round((min(numbers) + max(numbers)) / 2)
    order = ["c", "region.anchor1", "region.edge", "site.wan", "cnd1", "op-a.ond1", "op-a.lgw", "a"]
    assert [row[name] for name in order] == sorted({row[name] for name in order})
    assert row["cnd1"] == row["cnd4"]
    assert row["op-a.ond1"] == row["op-b.ond2"]


def test_one_cable_is_not_many() -> None:
    plan = lower_topology(load_topology(TOPOLOGY.with_name("first.yaml"), {}))
    assert "cnd1 ═══ 1 cable ═══ ond1" in to_text(draw(plan))


def test_without_graphviz(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = call("graph", str(TOPOLOGY), "--format", "svg")
    assert result.exit_code == 3
    assert "install the package graphviz" in result.stderr


def test_of_the_running_testbed(call: Call, keeper: FakeKeeper, tmp_path: Any) -> None:
    assert call("graph").output.startswith("┌─ Region")
    assert call("graph", "-f", "mermaid").output.startswith("flowchart TB")
    data = json.loads(call("graph", "--json").output)
    assert list(data["groups"]) == ["region", "site", "op-a"]
    assert call("graph", "-o", str(tmp_path / "no" / "x.svg"), "-f", "dot").exit_code == 2
