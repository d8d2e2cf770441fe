"""Predictions of AWS's rules, requests, and what is shown of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from testbed.control.client import Client
from testbed.errors import UsageError
from testbed.predict import World
from testbed.probes import reach
from testbed.probes.reach import Reach, Request, choose, compare, predict, requests
from testbed.render.reach import list_table, matrix_table, summary
from testbed.topology.file.load import load

TOPOLOGIES = Path(__file__).parents[3] / "topologies"


def verdicts(file: str, **kinds: Sequence[int]) -> dict[tuple[str, str, str], tuple[object, str]]:
    world = World(load(TOPOLOGIES / file))
    wanted = requests(world.endpoints(), world.endpoints(), **kinds)  # type: ignore[arg-type]
    return {
        (r.source, r.destination, f"{r.address} {r.kind}"): (answered, reason)
        for r, (answered, reason, _) in predict(world, wanted).items()
    }


@pytest.mark.parametrize(
    ("file", "pair", "answered", "reason"),
    [
        ("two-racks.yaml", ("a", "b", "10.77.11.119 icmp"), True, ""),
        ("two-racks-blocked.yaml", ("a", "b", "10.77.11.119 icmp"), False, "through the Region"),
        ("rack.yaml", ("db", "desk", "192.168.10.10 tcp/80"), False, "route table main has no"),
        ("rack.yaml", ("desk", "web", "10.1.3.112 tcp/80"), True, ""),
        ("coip.yaml", ("desk", "web", "172.20.0.2 tcp/80"), True, ""),
        ("coip.yaml", ("desk", "web", "10.0.3.112 tcp/80"), False, "nobody announces"),
        ("security-groups.yaml", ("guest", "app", "10.77.7.4 tcp/80"), False, "no ingress rule"),
        ("transit-gateway.yaml", ("desk", "dev-1", "10.4.1.4 icmp"), True, ""),
        (
            "ingress-routing-appliance.yaml",
            ("desk", "server", "10.0.4.4 icmp"),
            None,
            "firewall may forward it",
        ),
    ],
)
def test_predictions(
    file: str, pair: tuple[str, str, str], answered: bool | None, reason: str
) -> None:
    said = verdicts(file)[pair]
    assert said[0] is answered
    assert reason in said[1]


@pytest.mark.parametrize(
    ("pair", "answered", "reason"),
    [
        (("web", "worker", "2001:db8:1:aa01::4 icmp"), True, ""),
        (("worker", "rack-web", "2001:db8:1:aa08::4 tcp/80"), True, ""),
        (("worker", "www", "2001:db8:ffff::10 tcp/80"), True, ""),
        (("www", "rack-web", "2001:db8:1:aa08::4 icmp"), True, ""),
        (("www", "worker", "2001:db8:1:aa01::4 icmp"), False, "egress-only"),
    ],
)
def test_predictions_of_ipv6(pair: tuple[str, str, str], answered: bool, reason: str) -> None:
    said = verdicts("../tests/packets/ipv6.yaml")
    assert said[pair][0] is answered
    assert reason in said[pair][1]
    assert not [pair for pair in said if pair[0] == "desk" and ":" in pair[2]]


def test_what_should_have_passed_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never without a reason; and not traced without end."""
    asked: list[Request] = []

    def traced(_: Client, request: Request) -> str:
        asked.append(request)
        return "the rules let it pass: dropped at fw"

    monkeypatch.setattr(reach, "_traced", traced)
    one = Request("a", "b", IPv4Address("10.0.0.1"), "icmp")
    lost = Reach(one, "silent", True, "")
    through = Reach(one, "answered", False, "no ingress rule")
    client = Client("nobody")
    rows = reach.explained(client, [lost] * 12 + [through, replace(lost, measured="answered")])
    assert len(asked) == reach.TRACED
    assert rows[0].reason == "the rules let it pass: dropped at fw"
    assert rows[11].reason == "the rules let it pass: see testbed trace a 10.0.0.1"
    assert [row.reason for row in rows[12:]] == ["no ingress rule", ""]


def test_udp_needs_somebody_who_answers() -> None:
    said = verdicts("two-racks.yaml", udp=[7, 9])
    assert said["a", "b", "10.77.11.119 udp/7"] == (True, "")
    assert said["a", "b", "10.77.11.119 udp/9"] == (None, "nothing is known to answer there")


def test_what_is_let_in_without_a_way_back_is_said() -> None:
    """A security group admits two LANs; the route table knows the way back to one only."""
    world = World(load(TOPOLOGIES.parent / "tests/packets/one-way.yaml"))
    wanted = requests(world.endpoints(), world.endpoints(), tcp=[80])
    rows = {
        row.source: Reach(row, "silent", *said)
        for row, said in predict(world, wanted).items()
        if row.destination == "stock"
    }
    assert rows["till"].predicted
    assert not rows["till"].one_way
    assert rows["scanner"].one_way
    assert "nat-gateway" in rows["scanner"].reason
    assert "1 let in, but not answered" in summary([rows["scanner"]])


def test_endpoints_are_chosen() -> None:
    endpoints = World(load(TOPOLOGIES / "rack.yaml")).endpoints()
    assert [entry.name for entry in choose(endpoints, ["db", "web", "db"], "x")] == ["db", "web"]
    with pytest.raises(UsageError, match="no node 'wed' in x"):
        choose(endpoints, ["wed"], "x")
    with pytest.raises(UsageError, match="nothing to test"):
        requests(endpoints[:1], endpoints[:1])


@pytest.fixture
def world() -> World:
    return World(load(TOPOLOGIES / "rack.yaml"))


def test_what_differs_is_measured_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = requests(world.endpoints(), world.endpoints(), tcp=[80])
    measured: list[int] = []

    def measure(_: Client, asked: Sequence[Request], *__: object) -> dict[Request, str]:
        measured.append(len(asked))
        late = len(measured) == 1
        return dict.fromkeys(asked, "silent" if late else "answered")

    monkeypatch.setattr(reach, "measure", measure)
    rows = compare(Client("x"), world, wanted)
    expected = predict(world, wanted)
    reachable = sum(bool(answered) for answered, *_ in expected.values())
    assert 0 < reachable < len(wanted)
    assert measured == [len(wanted), reachable]
    assert all(row.agrees for row in rows)


def test_a_difference_is_shown() -> None:
    request = Request("a", "b", IPv4Address("10.0.0.1"), "tcp", 80)
    row = Reach(request, "silent", predicted=True, reason="")
    assert not row.agrees
    assert replace(row, measured="refused").agrees
    assert replace(row, predicted=None).agrees
    assert "1 not as predicted" in summary([row])
    from rich.console import Console

    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(list_table([row]))
    console.print(matrix_table([row]))
    text = console.export_text()
    assert "blocked (silent), predicted: reached" in text
    assert "\u00b7!" in text
