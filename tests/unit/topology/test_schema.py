"""The JSON Schema and the reference keep in step with the form."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import testbed.topology
from testbed.topology import json_schema

ROOT = Path(__file__).parents[3]
SHIPPED = Path(testbed.topology.__file__).parent / "schema.json"
TOPOLOGIES = sorted((ROOT / "topologies").glob("*.yaml*"))
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def valid(tree: Any) -> bool:
    return bool(VALIDATOR.is_valid(tree))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.name)
def test_topologies_name_the_schema(path: Path) -> None:
    line = "# yaml-language-server: $schema=../testbed/topology/schema.json"
    assert path.read_text().splitlines()[1] == line
    if path.suffix == ".yaml":
        assert valid(yaml.safe_load(path.read_text()))


def test_it_refuses_what_the_loader_refuses() -> None:
    tree = yaml.safe_load((ROOT / "topologies" / "rack.yaml").read_text())
    assert valid(tree)
    for broken in (
        {**tree, "extra": 1},
        {**tree, "name": "two racks"},
        {**tree, "vpcs": {"A B": {"cidr": "10.0.0.0/16"}}},
        {**tree, "vpcs": {"app": {"cidr": "10.0.0.0"}}},
        {**tree, "outposts": {"op": {"service_link": {"vifs": [{"device": 1, "vlan": 4095}]}}}},
        {**tree, "site": {"region_link": {"delay": 15}}},
        {key: value for key, value in tree.items() if key != "region"},
    ):
        assert not valid(broken), broken


def keys() -> dict[str, set[str]]:
    """The keys of each object of the form."""
    schema = json_schema()
    forms = {name: set(form["properties"]) for name, form in schema["$defs"].items()}
    return {"TopologyForm": set(schema["properties"]), **forms}


def test_every_key_is_described() -> None:
    schema = json_schema()
    for form in schema["$defs"].values():
        for key, value in form["properties"].items():
            assert value.get("description"), key


def test_the_reference_has_every_key() -> None:
    text = (ROOT / "docs" / "topology.md").read_text()
    sections: dict[str, set[str]] = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        form = re.search(r"<!-- (\w+Form) -->", part)
        if form:
            rows = set(re.findall(r"^\| `(\w+)` \|", part, flags=re.MULTILINE))
            sections[form[1]] = rows
    assert sections == keys()


def test_the_references_examples_load() -> None:
    text = (ROOT / "docs" / "topology.md").read_text()
    examples = re.findall(r"```yaml\n(testbed: 1\n.*?)```", text, flags=re.DOTALL)
    assert examples
    for example in examples:
        testbed.topology.loads(example)
