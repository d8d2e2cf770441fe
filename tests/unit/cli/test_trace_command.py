"""`testbed trace`: what it asks of the keeper, and what it refuses before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from testbed.lower import lower
from testbed.plan.codec import to_json
from testbed.topology import load

from .fake_keeper import Channel, FakeKeeper

ROOT = Path(__file__).parents[3]
RECORDED = ROOT / "tests" / "unit" / "probes" / "recorded"


@pytest.fixture
def traced(keeper: FakeKeeper) -> FakeKeeper:
    """A keeper that answers each trace with the one that was too large for the service link."""
    keeper.plan = to_json(lower(load(ROOT / "topologies" / "two-racks.yaml")))
    record: dict[str, Any] = json.loads((RECORDED / "mtu.json").read_text())

    def reply(_channel: Channel, _request: dict[str, Any]) -> dict[str, Any]:
        return record

    keeper.replies["trace"] = reply
    return keeper


def asked(keeper: FakeKeeper) -> list[dict[str, Any]]:
    return [request for request in keeper.requests if request["op"] == "trace"]


def test_a_drop_is_exit_code_1_and_the_last_line(
    traced: FakeKeeper, call: Callable[..., Result]
) -> None:
    result = call("trace", "a", "c", "--size", "1301", "--df")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("dropped at op-a.vpc-app: its 1301 bytes")
    (request,) = asked(traced)
    expected = {"node": "a", "destination": "10.77.1.4", "size": 1301, "df": True}
    assert request.items() >= expected.items()


def test_json(traced: FakeKeeper, call: Callable[..., Result]) -> None:
    result = call("trace", "a", "c", "--tcp", "443", "--json")
    data = json.loads(result.stdout)
    assert (result.exit_code, data["name"], data["dropped_at"]) == (1, "c", "op-a.vpc-app")
    (request,) = asked(traced)
    assert request.items() >= {"protocol": "tcp", "port": 443, "size": 40, "df": False}.items()


def test_the_way_is_drawn(traced: FakeKeeper, call: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "way.gv"
    assert call("trace", "a", "c", "--graph", str(file)).exit_code == 1
    assert "hop 2: dropped" in file.read_text()
    assert asked(traced)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("c", "--icmp", "--tcp", "80"), "--icmp, --tcp and --udp exclude each other"),
        (("c", "--graph", "way.txt"), "a path cannot be drawn as text"),
        (("c", "--graph", "way.jpeg"), "'.jpeg' is not a picture format"),
        (("nobody",), "no node 'nobody'"),
        (("ff02::1",), "cannot trace to ff02::1"),
        (("c", "-6"), "node c has no IPv6 address"),
        (("224.0.0.5",), "cannot trace to 224.0.0.5"),
    ],
)
def test_refused(
    traced: FakeKeeper, call: Callable[..., Result], arguments: tuple[str, ...], message: str
) -> None:
    result = call("trace", "a", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not asked(traced)
