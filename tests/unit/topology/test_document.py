"""Documents without files: what is wrong with them, by path and with AWS's error codes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testbed.errors import TopologyError, aws_code
from testbed.topology import load
from testbed.topology.document import Document, DocumentError, resolve
from testbed.topology.file.load import load_document, loads
from testbed.topology.numbers import Numbers

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "topologies").rglob("*.yaml"))
PROBLEMS = sorted((Path(__file__).parent / "problems").glob("*.yaml"))
SMALL: dict[str, Any] = {
    "testbed": 1,
    "name": "t",
    "region": {"name": "us-west-2"},
    "vpcs": {"app": {"cidr": "10.77.0.0/16", "subnets": {"rack": {"cidr": "10.77.7.0/24"}}}},
}


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_document_is_what_its_file_is(file: Path) -> None:
    document = load_document(file)
    assert resolve(document) == load(file)
    crossed = Document.from_json(document.to_json())
    assert crossed == document
    assert crossed.text == document.text == file.read_text()


def test_what_a_file_names_is_part_of_the_document() -> None:
    document = load_document(ROOT / "topologies" / "broken" / "no-tcp-443.yaml")
    assert list(document.files) == ["no-tcp-443.nft"]
    with pytest.raises(DocumentError, match=r"ruleset: there is no file no-tcp-443\.nft"):
        resolve(replace(document, files={}))


def test_violations_have_paths_remedies_and_the_codes_of_aws() -> None:
    subnets = {"rack": {"cidr": "10.77.7.0/24"}, "b": {"cidr": "10.77.7.0/25"}}
    data = SMALL | {"vpcs": {"app": {"cidr": "10.77.0.0/16", "subnets": subnets, "cird": 1}}}
    with pytest.raises(DocumentError) as caught:
        resolve(Document(data))
    unknown, conflict = sorted(caught.value.violations, key=lambda each: each.path)
    assert unknown.path == ("vpcs", "app", "cird")
    assert (unknown.rule, unknown.aws_code, unknown.at_key) == ("schema", None, True)
    assert unknown.remedy == "did you mean 'cidr'?"
    assert conflict.path == ("vpcs", "app", "subnets", "b", "cidr")
    assert (conflict.rule, conflict.aws_code) == ("vpc", "InvalidSubnet.Conflict")
    assert [row["object"] for row in caught.value.to_json()["violations"]] == [
        "vpcs.app.cird",
        "vpcs.app.subnets.b.cidr",
    ]


@pytest.mark.parametrize("file", PROBLEMS, ids=lambda file: file.stem)
def test_a_file_shows_every_violation_of_its_document(file: Path) -> None:
    with pytest.raises(TopologyError) as caught:
        loads(file.read_text())
    shown = {(problem.message, problem.hint) for problem in caught.value.problems}
    assert {(each.message, each.remedy) for each in caught.value.violations} <= shown


def test_numbers_go_in_and_come_out() -> None:
    numbers = Numbers({"vpc": {"app": 3, "gone": 1}})
    assert resolve(Document(SMALL), numbers).vpcs["app"].number == 3
    assert numbers.to_json()["vpc"] == {"app": 3}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("InvalidSubnet.Conflict: the IPv6 CIDR x conflicts", "InvalidSubnet.Conflict"),
        ("overlaps b; InvalidSubnet.Conflict: The CIDR", "InvalidSubnet.Conflict"),
        ("the VPC app has no internet gateway (Gateway.NotAttached)", "Gateway.NotAttached"),
        ("10.0.0.0/8: InvalidParameterValue: Route", "InvalidParameterValue"),
        ("RouteLimitExceeded: 51 routes", "RouteLimitExceeded"),
        ("InvalidTransitGatewayID.NotFound: the VPC", "InvalidTransitGatewayID.NotFound"),
        ("ElastiCache: it is not on servers", None),
        ("must be a mapping (key: value), is 7", None),
        ("a VIF's subnet is a /30 or /31 (AWS: local-rack)", None),
        ("device cnd1: is named twice", None),
    ],
)
def test_codes_of_aws_in_messages(message: str, code: str | None) -> None:
    assert aws_code(message) == code
