"""What AWS refuses: its code, the place, and that the document stays as it was."""

from __future__ import annotations

import json
import re
from pathlib import Path

import edits_of_workloads
import pytest
import refused_arguments
import refused_names
import refused_states
from editing_examples import everything

import testbed.topology.editing as edit
from testbed.errors import UsageError, dotted
from testbed.topology.document import Document
from testbed.topology.editing import Change, EditError, together

REFUSED = [
    *refused_names.REFUSED,
    *refused_states.REFUSED,
    *refused_arguments.REFUSED,
    *edits_of_workloads.REFUSED,
]


@pytest.mark.parametrize(("change", "code", "place"), REFUSED, ids=lambda part: str(part)[:60])
def test_refused(change: Change, code: str | None, place: str) -> None:
    document = everything()
    before = json.dumps(document.to_json())
    with pytest.raises(EditError) as caught:
        change(document)
    assert (caught.value.aws_code, dotted(caught.value.path)) == (code, place)
    assert json.dumps(document.to_json()) == before
    assert "{" not in str(caught.value)


def test_every_code_is_tested() -> None:
    folder = Path(edit.__file__).parent
    modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    source = "".join(path.read_text() for path in modules)
    codes = set(re.findall(r'"([A-Z][a-z]+[A-Z]\w+(?:\.\w+)?|Gateway\.\w+)"', source))
    assert {"Gateway.NotAttached", "InvalidVpcID.NotFound", "RouteAlreadyExists"} <= codes
    assert codes - {code for _, code, _ in REFUSED} == set()


def test_an_error_says_what_where_and_what_to_do() -> None:
    with pytest.raises(UsageError) as caught:
        edit.delete_subnet(vpc="app", subnet="spar")(everything())
    error = caught.value
    assert isinstance(error, EditError)
    assert str(error) == (
        "vpcs.app.subnets.spar: InvalidSubnetID.NotFound: The subnet ID 'spar' does not exist"
    )
    assert error.message == "The subnet ID 'spar' does not exist"
    assert error.hint == error.remedy == "did you mean 'spare'?"
    assert error.to_json()["aws_code"] == "InvalidSubnetID.NotFound"
    assert error.to_json()["object"] == "vpcs.app.subnets.spar"


def test_what_is_in_use_is_named() -> None:
    with pytest.raises(EditError) as caught:
        edit.delete_subnet(vpc="app", subnet="rack")(everything())
    assert caught.value.remedy == (
        "it is used by instances.web.subnet, instances.still.subnet,"
        " network_interfaces.extra.subnet, network_interfaces.second.subnet"
    )


def test_wrong_arguments_are_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"create_route\(\): got an unexpected keyword"):
        edit.create_route(vpc="app", route_table="main", nowhere=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"create_vpc\(\): missing a required argument"):
        edit.create_vpc(vpc="app")  # type: ignore[call-arg]


def test_a_change_is_written_as_it_was_called() -> None:
    change = edit.create_route(
        vpc="a", route_table="main", destination_cidr_block="10.0.0.0/8", local_gateway=True
    )
    assert str(change) == (
        'create_route(vpc="a", route_table="main", destination_cidr_block="10.0.0.0/8",'
        " local_gateway=True)"
    )
    both = together(change, edit.attach_internet_gateway(vpc="a"))
    assert str(both) == f'together(changes=({change}, attach_internet_gateway(vpc="a")))'


def test_a_change_keeps_the_arguments_that_it_was_given() -> None:
    instances = ["web"]
    change = edit.stop_instances(instances=instances)
    instances.append("app")
    assert change.arguments == {"instances": ["web"]}
    assert change == edit.stop_instances(instances=["web"])


def test_true_is_the_only_outposts_local_gateway() -> None:
    document = Document({"vpcs": {"a": {"cidr": "10.0.0.0/16"}}, "outposts": {"op": {}}})
    change = edit.create_route(
        vpc="a", route_table="main", destination_cidr_block="0.0.0.0/0", local_gateway=True
    )
    route = {"destination": "0.0.0.0/0", "target": "op.local-gateway"}
    assert change(document).data["vpcs"]["a"]["route_tables"] == {"main": {"routes": [route]}}
