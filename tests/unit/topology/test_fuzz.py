"""Any text whatsoever is a topology with a plan, or a TopologyError, never another exception."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from effort import times
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from testbed.errors import TopologyError
from testbed.lower import lower
from testbed.plan import codec
from testbed.topology import Topology, loads

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
TEXTS = [(TOPOLOGIES / name).read_text() for name in ("rack.yaml", "two-racks.yaml")]
TREES = [yaml.safe_load(path.read_text()) for path in sorted(TOPOLOGIES.glob("*.yaml"))]
EXAMPLES = times(150, 5000)

relaxed = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

PIECES = ("", "-", ":", "a: ", "&a ", "*a", "<<: *a", "[", "]", "{", "}", "!!int ", "---\n", "\t")
MORE_PIECES = ("\n", "  ", "|", ">", "? ", "#", "'", '"', "%", "{{", "}}", "{% ", "\0", "\ufeff")
words = st.sampled_from([*PIECES, *MORE_PIECES, "testbed: 1\n"])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["10.0.0.0/16", "0.0.0.0/0", "10.0.0.1/30", "op-a", "cnd1", "rack-a", "main"]),
    st.sampled_from(["255.255.255.255/32", "255.255.255.252/30", "0.0.0.0/32", "10.0.0.0/31"]),
    st.sampled_from(["::/0", "2001:db8::/128", "2001:db8::/64", "ffff:ffff::/32", "fe80::1"]),
    st.sampled_from(["server", "coip", "local", "op.local-gateway", "255.255.255.255", "1G"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def check(text: str, *, template: bool = False) -> None:
    try:
        topology = loads(text, template=template)
    except TopologyError as error:
        problems = error.problems
    else:
        assert isinstance(topology, Topology)
        codec.to_json(lower(topology))
        return
    assert problems
    for problem in problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message.isprintable()
        assert (problem.hint or "").isprintable()


@relaxed
@given(st.text(alphabet=st.characters(), max_size=200), st.booleans())
@example("\ud800", False)
@example("a: \ud800", False)
@example("{{ 1", True)
@example("%YAML 9.9\n---\n", False)
@example("&a [*a]", False)
@example("? [a]\n: b", False)
def test_any_text(text: str, template: bool) -> None:
    check(text, template=template)


@relaxed
@given(st.lists(words, max_size=30), st.booleans())
def test_yaml_like_text(parts: list[str], template: bool) -> None:
    check("".join(parts), template=template)


@relaxed
@given(st.sampled_from(TEXTS), st.data())
def test_damaged_topologies(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    check(text[:start] + data.draw(st.text(max_size=5) | words) + text[end:])


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    found = []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        found.append((tree, key))
        if isinstance(value, dict | list):
            found += places(value)
    return found


@relaxed
@given(st.sampled_from(TREES), st.data())
def test_changed_topologies(original: Any, data: st.DataObject) -> None:
    tree = copy.deepcopy(original)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(tree)))
        other, taken = data.draw(st.sampled_from(places(tree)))
        change = data.draw(st.sampled_from(["replace", "remove", "copy"]))
        if change == "remove":
            del container[key]
        elif change == "copy":
            container[key] = copy.deepcopy(other[taken])
        else:
            container[key] = data.draw(values)
        if not tree:
            break
    check(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("region", "public_cidr: 255.255.255.255/32"),
        ("region", "public_cidr: 255.255.255.0/24"),
        ("region", "internet: {cidr: 255.255.255.255/32}"),
        ("region", "internet: {cidr: 192.0.2.0/24, ipv6_cidr: 'ffff:ffff::/32', hosts: {a: {}}}"),
        ("region", "internet: {cidr: 192.0.2.0/24, ipv6_cidr: '2001:db8::/128', hosts: {a: {}}}"),
        ("site", "link_cidr: 255.255.255.255/32"),
        ("site", "devices: {}, wan: {}"),
        ("site", "wan: {devices: []}"),
        ("site", "devices: {}, internet: {}"),
        ("site", "devices: {}, region_link: {}"),
    ],
)
def test_edges_of_the_address_space_and_of_nothing(key: str, value: str) -> None:
    sections = {"region": "name: us-west-2", "site": ""}
    sections[key] += f"{', ' if sections[key] else ''}{value}"
    text = "testbed: 1\nname: t\n"
    check(text + "".join(f"{name}: {{{body}}}\n" for name, body in sections.items()))


def test_the_unchanged_trees_load() -> None:
    for tree in TREES:
        text = yaml.safe_dump(tree, sort_keys=False)
        assert isinstance(loads(text, file=str(TOPOLOGIES / "t.yaml")), Topology)


@pytest.mark.parametrize("count", [10_000])
def test_many_problems(count: int) -> None:
    text = "testbed: 1\nname: t\nregion: {name: r}\nvpcs:\n"
    text += "".join(f"  v{number}: {{cidr: x}}\n" for number in range(count))
    with pytest.raises(TopologyError) as caught:
        loads(text)
    assert len(caught.value.problems) == count
