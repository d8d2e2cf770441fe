"""What is exported loads to the document that it is from, and looks like the file before it."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from effort import times
from hypothesis import given, settings
from hypothesis import strategies as st
from sites import healthy

from testbed.topology.document import Document
from testbed.topology.file.export import export
from testbed.topology.file.load import load_document, parse
from testbed.topology.file.position import compose

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
SHIPPED = sorted(TOPOLOGIES.rglob("*.yaml"))
TEXTS = [path.read_text() for path in SHIPPED]
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(-1e6, 1e6).map(lambda value: round(value, 6)),
    texts,
    st.sampled_from(["on", "1:30", "010", "true", "~", "null", "", "1.5", "::/0", "a: b", "# x"]),
    st.sampled_from(
        ["<<", "-", "?", "*a", "&a", "!x", "%", "@", "`", "10.0.0.0/8", "'", '"', "{}"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def loaded(text: str) -> Any:
    composed = compose(text)
    assert not composed.flaws
    return composed.root.plain()


def places(tree: Any) -> list[tuple[Any, Any]]:
    found = []
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        found.append((tree, key))
        if isinstance(value, dict | list):
            found += places(value)
    return found


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_what_has_not_been_changed_is_exported_to_the_letter(file: Path) -> None:
    assert export(load_document(file)) == file.read_text()


def test_a_rendered_template_is_exported_as_it_was_rendered() -> None:
    document = load_document(TOPOLOGIES / "racks.yaml.j2", {"racks": "3"})
    text = export(document)
    assert parse(text, file="x.yaml").resolve()[0] == document
    assert "# " in text
    assert "{%" not in text


@pytest.mark.parametrize("seed", range(times(5, 100)))
def test_generated_sites(seed: int, tmp_path: Path) -> None:
    document = load_document(healthy.write(seed, tmp_path))
    assert loaded(export(replace(document, text=""))) == document.data


@settings(max_examples=times(100, 5000), deadline=None)
@given(st.dictionaries(texts, values, min_size=1, max_size=5))
def test_any_values_from_nothing(data: dict[str, Any]) -> None:
    assert loaded(export(Document(data))) == data


@settings(max_examples=times(100, 5000), deadline=None)
@given(st.sampled_from(TEXTS), st.data())
def test_any_changes(text: str, data: st.DataObject) -> None:
    tree = loaded(text)
    for _ in range(data.draw(st.integers(1, 4))):
        container, key = data.draw(st.sampled_from(places(tree)))
        value = data.draw(values)
        change = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            container[key] = value
        elif change == "remove" and len(tree) > 1:
            del container[key]
        elif isinstance(container, dict):
            container[data.draw(texts)] = value
        else:
            container.insert(data.draw(st.integers(0, len(container))), value)
    assert loaded(export(Document(tree, text=text))) == tree


@settings(max_examples=times(60, 3000), deadline=None)
@given(st.sampled_from(TEXTS), st.data())
def test_other_values_and_more_entries_leave_every_comment_where_it_is(
    text: str, data: st.DataObject
) -> None:
    tree = loaded(text)
    before = copy.deepcopy(tree)
    for number in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(tree)))
        if isinstance(container, dict) and data.draw(st.booleans()):
            container[f"new-{number}"] = data.draw(scalars)
        elif not isinstance(container[key], dict | list):
            container[key] = data.draw(scalars)
    now = export(Document(tree, text=text))
    assert [line for line in now.splitlines() if line.lstrip().startswith("#")] == [
        line for line in text.splitlines() if line.lstrip().startswith("#")
    ]
    assert export(Document(before, text=now)) == text or before != loaded(text)


COMMENTED = """\
# The head.
region: {name: us-west-2}  # where

# What is shared.
shared: &shared {delay: 10ms}
one: *shared
list:
  # the first
  - {a: 1}
  # the second
  - {b: 2}  # of two

  # the third
  - c: 1
    # inside
    d: 2
# nothing yet
empty:
text: |
  two
  lines
# the end
last: "x"
"""


def changed(path: tuple[str | int, ...], *value: Any) -> str:
    data = loaded(COMMENTED)
    container = data
    for step in path[:-1]:
        container = container[step]
    if value:
        container[path[-1]] = value[0]
    else:
        del container[path[-1]]
    text = export(Document(data, text=COMMENTED))
    assert loaded(text) == data
    return text


def lines(text: str) -> tuple[set[str], set[str]]:
    """What a text has more than the one before, and what less."""
    before, now = COMMENTED.splitlines(), text.splitlines()
    return set(now) - set(before), set(before) - set(now)


@pytest.mark.parametrize(
    ("path", "value", "more", "less"),
    [
        (("last",), ["on"], {"last: on"}, {'last: "x"'}),
        (("last",), ["true"], {'last: "true"'}, {'last: "x"'}),
        (("last",), [], set(), {"# the end", 'last: "x"'}),
        (("new",), [[1]], {"new: [1]"}, set()),
        (("empty",), [{"a": "b"}], {"empty: {a: b}"}, {"empty:"}),
        (("list", 1), [], set(), {"  # the second", "  - {b: 2}  # of two"}),
        (("list", 2, "e"), [3], {"    e: 3"}, set()),
        (("list", 1, "b"), [7], {"  - {b: 7}  # of two"}, {"  - {b: 2}  # of two"}),
        (("region", "zones"), [["a"]], {"region: {name: us-west-2, zones: [a]}  # where"},
         {"region: {name: us-west-2}  # where"}),
        (("one", "delay"), ["20ms"], {"one: {delay: 20ms}"}, {"one: *shared"}),
        (("text",), [], set(), {"text: |", "  two", "  lines"}),
        (("text",), ["one"], {"text: one"}, {"text: |", "  two", "  lines"}),
    ],
)  # fmt: skip
def test_only_what_is_changed_is_written_anew(
    path: tuple[str | int, ...], value: list[Any], more: set[str], less: set[str]
) -> None:
    assert lines(changed(path, *value)) == (more, less)


def test_what_an_alias_stands_for_stays_when_its_anchor_is_changed() -> None:
    assert "one: {delay: 10ms}" in changed(("shared", "delay"), "1ms")


def test_what_yaml_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no topology file can have"):
        export(Document({"a": float("inf")}))
