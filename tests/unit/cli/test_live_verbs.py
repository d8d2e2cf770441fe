"""Verbs that show and change the document of what runs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from testbed.cli.edited import complete_places
from testbed.control.client import Client
from testbed.errors import ConflictError
from testbed.lifecycle.live import running_topology
from testbed.topology.file.load import load_document

from .conftest import TOPOLOGY
from .fake_keeper import Channel, FakeKeeper

Call = Callable[..., Result]
ROOT = TOPOLOGY.parent
NAME = "two-racks"


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep what `edit` leaves behind among what the test does."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def keeper(call: Call, starting: dict[str, FakeKeeper]) -> FakeKeeper:
    """A keeper of two-racks, as `up` brings it up."""
    assert call("up", str(TOPOLOGY)).exit_code == 0
    return starting[NAME]


def data_of(keeper: FakeKeeper) -> Any:
    return Client(keeper.name).document()["document"]["data"]


def test_set_changes_what_runs_and_says_what(call: Call, keeper: FakeKeeper) -> None:
    result = call("set", "site.wan.delay", "20ms")
    assert result.exit_code == 0
    assert "~ site.wan.delay: 2ms -> 20ms\ntwo-racks: revision 2, 7 steps" in result.stdout
    assert data_of(keeper)["site"]["wan"]["delay"] == "20ms"
    assert running_topology(Client(NAME)).site.wan == load_wan("20ms")
    assert [r["revision"] for r in keeper.requests if r["op"] == "apply"] == [None, 1]


def load_wan(delay: str) -> Any:
    from testbed.topology import loads

    return loads(TOPOLOGY.read_text().replace("delay: 2ms", f"delay: {delay}")).site.wan


def test_set_in_json(call: Call, keeper: FakeKeeper) -> None:
    result = call("set", "instances.zz", "{subnet: rack-a}", "--json", "--no-wait")
    outcome = json.loads(result.stdout)
    assert outcome["changes"] == [{"path": ["instances", "zz"], "new": {"subnet": "rack-a"}}]
    assert {key: outcome[key] for key in ("name", "ok", "revision", "changed")} == {
        "name": NAME,
        "ok": True,
        "revision": 2,
        "changed": True,
    }
    applied = [request for request in keeper.requests if request["op"] == "apply"][-1]
    assert (applied["wait"], "source" in applied) == (False, False)
    assert [entry["node"]["name"] for entry in applied["patch"]["added"]] == ["zz"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "vpcs.app.subnets.rack-b.cidr", "10.77.7.0/25"), "InvalidSubnet.Conflict"),
        (("set", "site.wan.delya", "1ms"), "did you mean 'delay'?"),
        (("set", "name", "other"), "a running testbed cannot be renamed; its name is two-racks"),
        (("set", "site..wan", "1"), "is not a place in a topology"),
        (("set", "site.wan.delay.x", "1"), "site.wan.delay is 2ms: it contains nothing"),
        (("set", "site.wan.delay", "[1"), "the value is not valid YAML"),
        (("set", "site.wan.delay", "!x 1"), "the value has the YAML tag"),
        (("set", "site.wan.delay", ""), "the value is empty"),
        (("unset", "outposts.op-a"), "there is no Outpost named 'op-a'"),
        (("unset", "instances.zz"), "there is no instances.zz"),
    ],
)
def test_what_is_refused_changes_nothing(
    words: tuple[str, ...], said: str, call: Call, keeper: FakeKeeper
) -> None:
    before = Client(NAME).document()
    result = call(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert Client(NAME).document() == before


def test_a_refusal_in_json_has_the_code_of_aws(call: Call, keeper: FakeKeeper) -> None:
    result = call("set", "vpcs.app.subnets.rack-b.cidr", "10.77.7.0/25", "--json")
    rows = json.loads(result.stdout)["error"]["violations"]
    assert rows[0]["aws_code"] == "InvalidSubnet.Conflict"
    assert rows[0]["object"] == "vpcs.app.subnets.rack-b.cidr"
    assert rows[0]["path"] == ["vpcs", "app", "subnets", "rack-b", "cidr"]


def test_unset_takes_away(call: Call, keeper: FakeKeeper) -> None:
    result = call("unset", "instances.c")
    assert result.exit_code == 0
    assert "- instances.c: {subnet: cloud, services: [http, echo]}" in result.stdout
    assert "c" not in data_of(keeper)["instances"]


def test_a_conflict_is_tried_again_and_then_told(call: Call, keeper: FakeKeeper) -> None:
    apply, conflicts = keeper.replies["apply"], [2]

    def reply(channel: Channel, request: dict[str, Any]) -> dict[str, Any] | None:
        if conflicts[0]:
            conflicts[0] -= 1
            raise ConflictError("the testbed was changed meanwhile")
        return apply(channel, request)

    keeper.replies["apply"] = reply
    assert call("set", "site.wan.delay", "20ms").exit_code == 0
    conflicts[0] = 6
    result = call("set", "site.wan.delay", "30ms", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["kind"] == "conflict"


def test_what_is_not_ready_after_an_edit(call: Call, keeper: FakeKeeper) -> None:
    apply = keeper.replies["apply"]

    def reply(channel: Channel, request: dict[str, Any]) -> dict[str, Any]:
        pending = [{"title": "LAG x", "state": "down"}]
        return (apply(channel, request) or {}) | {"pending": pending, "hopeless": "why"}

    keeper.replies["apply"] = reply
    result = call("set", "site.wan.delay", "20ms")
    assert result.exit_code == 1
    assert "LAG x" in result.stderr
    assert "1 thing is not ready, and never will be: why" in result.stderr


def test_export_is_the_file_with_what_was_edited(call: Call, keeper: FakeKeeper) -> None:
    assert call("export").stdout == TOPOLOGY.read_text()
    call("set", "site.wan.delay", "20ms")
    expected = TOPOLOGY.read_text().replace("wan: {delay: 2ms", "wan: {delay: 20ms")
    assert call("export").stdout == expected
    assert json.loads(call("export", "--json").stdout)["text"] == expected


def test_export_to_a_file_writes_what_it_names(
    call: Call, starting: dict[str, FakeKeeper], tmp_path: Path
) -> None:
    file = ROOT / "broken" / "no-tcp-443.yaml"
    call("up", str(file))
    target = tmp_path / "site.yaml"
    result = call("export", "-o", str(target))
    assert result.stdout == f"{target}: written, with no-tcp-443.nft\n"
    assert load_document(target) == load_document(file)
    assert "the topology names files; -o writes them, too: no-tcp-443.nft" in call("export").stderr
    (tmp_path / "no-tcp-443.nft").write_text("other")
    target.unlink()
    refused = call("export", "-o", str(target))
    assert refused.exit_code == 2
    assert "no-tcp-443.nft already exists and differs from the running one" in refused.stderr
    assert not target.exists()


def test_diff_with_its_own_file_and_another(call: Call, keeper: FakeKeeper) -> None:
    result = call("diff")
    assert (result.exit_code, result.stdout) == (0, "two-racks: no difference\n")
    call("set", "site.wan.delay", "20ms")
    call("set", "instances.zz", "{subnet: rack-a}")
    result = call("diff")
    assert result.exit_code == 1
    assert result.stdout.startswith(
        "~ site.wan.delay: 20ms -> 2ms\n- instances.zz: {subnet: rack-a}\n"
    )
    assert "  zz: delete the namespace\n" in result.stdout
    assert "  cnd1: set wan netem delay 2ms rate 1Gbit limit" in result.stdout
    assert "steps:" not in call("diff", "--brief").stdout
    other = call("diff", "two-racks-blocked", "--json")
    outcome = json.loads(other.stdout)
    assert outcome["revision"] == 3
    places = [change["path"][:3] for change in outcome["changes"]]
    assert ["vpcs", "app", "route_tables"] in places
    assert any("delete route 10.77.11.0/24" in step for step in outcome["steps"])


def test_diff_of_a_template_has_the_variables_of_up(
    call: Call, starting: dict[str, FakeKeeper]
) -> None:
    call("up", str(ROOT / "racks.yaml.j2"), "--set", "racks=3", "-n", "x")
    assert call("diff").exit_code == 0
    assert call("diff", str(ROOT / "racks.yaml.j2"), "--set", "racks=2").exit_code == 1


def test_diff_of_what_is_from_no_file(call: Call, keeper_of: Callable[..., FakeKeeper]) -> None:
    from .conftest import small_plan

    keeper_of("demo", small_plan())
    result = call("diff")
    assert result.exit_code == 2
    assert "was not brought up from a file" in result.stderr


def editor(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", script)


def test_edit_applies_what_was_saved(
    call: Call, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(monkeypatch, "sed -i -e s/10.77.7.88/10.77.7.89/ -e '1i # mine'")
    result = call("edit")
    assert result.exit_code == 0
    assert "~ instances.a.address: 10.77.7.88 -> 10.77.7.89" in result.stdout
    assert data_of(keeper)["instances"]["a"]["address"] == "10.77.7.89"
    assert call("export").stdout.startswith("# mine\n")
    editor(monkeypatch, "true")
    assert "two-racks: nothing was changed" in call("edit").stdout


def test_edit_shows_problems_with_their_lines_and_keeps_the_text(
    call: Call, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(monkeypatch, "sed -i s/10.77.11.0/10.77.7.0/")
    result = call("edit")
    assert result.exit_code == 2
    lines = (ROOT / "two-racks.yaml").read_text().splitlines()
    line, text = next(pair for pair in enumerate(lines, 1) if "10.77.11.0/24" in pair[1])
    place = f"two-racks.yaml:{line}:{text.index('10.77.11.0') + 1}"
    assert f"{place}: vpcs.app.subnets.rack-b.cidr: overlaps" in result.stderr
    kept = Path(result.stderr.partition("your changes are kept in ")[2].splitlines()[0])
    assert "10.77.7.0/24, outpost: op-b" in kept.read_text()
    assert Client(NAME).hello()["revision"] == 1


def test_edit_keeps_what_others_have_changed_meanwhile(
    call: Call, keeper: FakeKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit_beside(place: str, value: str) -> Callable[..., None]:
        def edit(*, filename: str) -> None:
            assert call("set", place, value).exit_code == 0
            path = Path(filename)
            path.write_text(path.read_text().replace("10.77.7.88", "10.77.7.89"))

        return edit

    monkeypatch.setattr(click, "edit", edit_beside("site.wan.delay", "20ms"))
    assert call("edit").exit_code == 0
    data = data_of(keeper)
    assert (data["site"]["wan"]["delay"], data["instances"]["a"]["address"]) == (
        "20ms",
        "10.77.7.89",
    )
    call("set", "instances.a.address", "10.77.7.88")
    monkeypatch.setattr(click, "edit", edit_beside("instances.a.address", "10.77.7.90"))
    result = call("edit")
    assert result.exit_code == 2
    assert "instances.a.address has been changed meanwhile" in result.stderr
    assert "your changes are kept in" in result.stderr
    assert data_of(keeper)["instances"]["a"]["address"] == "10.77.7.90"


def test_up_says_first_which_edits_the_file_takes_away(
    call: Call, keeper: FakeKeeper, tmp_path: Path
) -> None:
    call("set", "site.wan.delay", "20ms")
    call("set", "instances.zz", "{subnet: rack-a}")
    file = tmp_path / "two-racks.yaml"
    file.write_text(TOPOLOGY.read_text().replace("wan: {delay: 2ms", "wan: {delay: 20ms"))
    result = call("up", str(file))
    assert result.exit_code == 0
    told = result.stderr.partition("the file takes away:")[2].partition("building")[0]
    assert "+ instances.zz: {subnet: rack-a}" in told
    assert "delay" not in told
    assert Client(NAME).document()["edits"] == []
    call("set", "site.wan.delay", "30ms")
    outcome = json.loads(call("up", str(file), "--json").stdout)
    assert outcome["taken_away"] == [
        {"path": ["site", "wan", "delay"], "old": "20ms", "new": "30ms"}
    ]
    assert json.loads(call("up", str(file), "--json").stdout)["taken_away"] == []


MESSAGES: list[dict[str, Any]] = [
    {"event": "missed", "messages": 3},
    {
        "event": "revision",
        "revision": 2,
        "at": 1.5,
        "changes": [{"path": ["site", "wan", "delay"], "old": "2ms", "new": "20ms"}],
    },
    {"event": "watching", "revision": 2, "at": 2.0},
    {"event": "occurred", "at": 3, "node": "a", "kind": "link", "subject": "e", "state": "up"},
    {"event": "state", "at": 3, "subject": "lags", "title": "L", "ok": False, "state": "down"},
    {"event": "state", "at": 3, "subject": "lags", "title": "L", "ok": None, "state": "gone"},
    {"event": "ready", "at": 4, "ok": False, "pending": [{"title": "L", "state": "down"}]},
    {"event": "ready", "at": 5, "ok": True, "pending": []},
]


def test_watch_shows_messages_until_the_testbed_ends(call: Call, keeper: FakeKeeper) -> None:
    def watch(channel: Channel, request: dict[str, Any]) -> None:
        assert request["revision"] == 1
        for message in MESSAGES:
            channel.send(message)

    keeper.replies["watch"] = watch
    result = call("watch", "--from", "1")
    assert result.exit_code == 3
    assert "the testbed ended" in result.stderr
    assert [" ".join(line.split()) for line in result.stdout.splitlines()] == [
        "3 messages were missed because the reader is too slow",
        "1.500000 revision 2",
        "1.500000 ~ site.wan.delay: 2ms -> 20ms",
        "2.000000 revision 2: watching from here on",
        "3.000000 a link e: up",
        "3.000000 L: not ok: down",
        "3.000000 L: gone",
        "4.000000 not ready: L",
        "5.000000 everything is ready",
    ]
    lines = call("watch", "--from", "1", "--json").stdout.splitlines()
    *messages, error = map(json.loads, lines)
    assert messages == MESSAGES
    assert error["error"]["exit_code"] == 3


def test_events_since(call: Call, keeper: FakeKeeper) -> None:
    call("events", "--since", "12.5")
    assert keeper.requests[-1] == {"op": "events", "since": 12.5}


def test_the_revision_is_shown(call: Call, keeper: FakeKeeper) -> None:
    call("set", "site.wan.delay", "20ms")
    assert json.loads(call("inspect", "--json").stdout)["revision"] == 2
    assert "Nodes of two-racks, revision 2" in call("inspect").stdout
    keeper.replies["status"] = lambda *_: {"ok": True, "name": NAME, "revision": 2}
    assert "Testbed two-racks, revision 2" in call("status").stdout


def test_places_are_completed_step_by_step(keeper: FakeKeeper) -> None:
    def complete(text: str) -> list[str]:
        context = click.Context(click.Command("set"))
        words = complete_places(context, click.Argument(["place"]), text)
        return [word.value for word in words]

    assert complete("si") == ["site"]
    assert complete("site.w") == ["site.wan"]
    assert complete("vpcs.app.route_tables.rack-a.routes[0].t") == [
        "vpcs.app.route_tables.rack-a.routes[0].target"
    ]
    assert complete("nothing.") == []
