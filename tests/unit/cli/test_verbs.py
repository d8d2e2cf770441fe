"""The verbs that ask a keeper or read a file, their outputs and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from testbed import __version__
from testbed.errors import HostError, UsageError, no_such_node
from testbed.lower import lower
from testbed.plan.checks import LocalGatewayCheck
from testbed.topology import load

from .conftest import TOPOLOGY, program, small_plan
from .fake_keeper import Channel, FakeKeeper

Call = Callable[..., Result]

STATUS: dict[str, Any] = {
    "version": 1,
    "name": "demo",
    "ok": False,
    "nodes": [
        {
            "title": "device cnd1",
            "name": "cnd1",
            "role": "customer-network-device",
            "group": "site",
            "ok": True,
            "state": "up",
            "processes": [{"name": "bird", "ok": True, "state": "running", "pid": 7}],
        }
    ],
    "links": [
        {
            "title": "a eth0",
            "node": "a",
            "interface": "eth0",
            "peer": "x y",
            "ok": True,
            "state": "up",
        }
    ],
    "lags": [
        {
            "title": "LAG cnd1 - op-a",
            "node": "cnd1",
            "interface": "op-a",
            "ok": False,
            "state": "1 of 2 members collecting and distributing",
            "members": [
                {"name": "op-a-1", "ok": True, "actor": "ACDS", "partner": "ACDS", "state": "up"},
                {"name": "op-a-2", "ok": False, "actor": "A", "partner": "", "state": "no partner"},
            ],
        }
    ],
    "bgp": [
        {
            "title": "good session",
            "node": "cnd1",
            "protocol": "good",
            "neighbor": "10.0.0.2",
            "ok": True,
            "state": "Established",
            "imported": 3,
            "exported": 1,
            "since": "12:00:00",
            "reason": None,
        },
        {
            "title": "bad session",
            "node": "cnd1",
            "protocol": "bad",
            "neighbor": "10.0.0.6",
            "ok": False,
            "state": "Active",
            "reason": "Connection refused",
        },
    ],
    "tunnels": [
        {
            "title": "tunnel 1",
            "node": "op-a.sl",
            "interface": "wg1",
            "peer": "anchor1",
            "ok": True,
            "state": "fresh handshake",
            "handshake_age_s": 4.2,
            "endpoint": "198.51.100.1:443",
            "rx_bytes": 2048,
            "tx_bytes": 100,
        }
    ],
    "routes": [
        {
            "title": "a: default",
            "node": "a",
            "table": 254,
            "destination": "0.0.0.0/0",
            "ok": False,
            "state": "missing",
            "nexthops": [{"via": "10.0.0.1", "dev": "eth0", "alive": False}],
        }
    ],
    "listeners": [],
}


@pytest.fixture
def status(keeper: FakeKeeper) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(json.dumps(STATUS))
    keeper.replies["status"] = lambda *_: answer
    return answer


def test_version(call: Call) -> None:
    assert call("version").output == f"testbed {__version__}\n"
    assert json.loads(call("version", "--json").output)["version"] == __version__


def test_status_shows_problems_first_and_exits_with_1(call: Call, status: dict[str, Any]) -> None:
    result = call("status")
    assert result.exit_code == 1
    assert "Active (Connection refused)" in result.output
    assert result.output.index("bad session") < result.output.index("good session")
    assert "op-a-1, op-a-2: no partner" in result.output
    assert "2.0 KiB" in result.output
    assert "10.0.0.1 eth0 (dead)" in result.output
    assert "a eth0" not in result.output
    assert "a eth0" in call("status", "--all").output


def test_status_json_is_the_keepers(call: Call, status: dict[str, Any]) -> None:
    result = call("status", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == status
    status["ok"] = True
    assert call("status").exit_code == 0


def test_list_topologies(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site.yaml").write_text("# Ours.\ntestbed: 1\n")
    rows = json.loads(call("list", "--topologies", "--json").output)
    assert rows[0] == {"name": "site", "file": "site.yaml", "story": "Ours."}
    by_name = {row["name"]: row for row in rows}
    assert by_name["two-racks"]["file"] == str(TOPOLOGY)
    assert by_name["two-racks"]["story"] in call("list", "--topologies", color=False).output


@pytest.mark.parametrize("words", [("plan", "-n", "x"), ("graph",), ("validate",)])
def test_verbs_take_topologies_by_name(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*words, "broken/no-udp-443")  # which has rulesets beside it
    assert (done.exit_code, done.stderr) == (0, "")
    wrong = call(*words, "no-upd-443", "--json")
    assert wrong.exit_code == 2
    assert "did you mean 'broken/no-udp-443'?" in wrong.output


def test_up_by_name_remembers_the_file(
    call: Call, starting: dict[str, FakeKeeper], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("up", "two-racks").exit_code == 0
    (apply,) = [r for r in starting["two-racks"].requests if r["op"] == "apply"]
    assert apply["source"] == {"file": str(TOPOLOGY), "settings": {}}


def test_list(call: Call, keeper_of: Callable[..., FakeKeeper]) -> None:
    assert call("list").output == "no testbed is running\n"
    keeper_of("one", small_plan("one"))
    keeper_of("two").replies["hello"] = lambda *_: None
    rows = json.loads(call("list", "--json").output)
    assert [(row["name"], row["state"], row["nodes"]) for row in rows] == [
        ("one", "up", 4),
        ("two", "ending", None),
    ]
    assert rows[0]["pid"]
    assert rows[0]["since"].startswith("2026-")
    assert [row["name"] for row in json.loads(call("list", "--json", "-n", "one").output)] == [
        "one"
    ]
    assert "one" in call("list").output


def test_the_testbed_must_be_clear(
    call: Call, keeper_of: Callable[..., FakeKeeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = call("status")
    assert (result.exit_code, "testbed up TOPOLOGY" in result.stderr) == (2, True)
    keeper_of("one")
    assert call("status").exit_code == 0
    keeper_of("two")
    result = call("status")
    assert (result.exit_code, "one, two" in result.stderr) == (2, True)
    assert json.loads(call("status", "-n", "two", "--json").stdout)["name"] == "two"
    monkeypatch.setenv("TESTBED_NAME", "two")
    assert json.loads(call("status", "--json").stdout)["name"] == "two"
    result = call("status", "-n", "three")
    assert "these are running: one, two" in result.stderr
    assert call("status", "-n", "../x").exit_code == 2


def test_errors_as_json(call: Call, keeper: FakeKeeper) -> None:
    def refuse(*_: Any) -> None:
        raise HostError("no", hint="do")

    keeper.replies["status"] = refuse
    result = call("status", "--json")
    assert result.exit_code == 3
    expected = {"error": {"message": "no", "hint": "do", "exit_code": 3}}
    assert json.loads(result.stdout) == expected
    assert result.stderr == "error: no\n    hint: do\n"
    assert call("status").stdout == ""


def test_down(call: Call, starting: dict[str, FakeKeeper]) -> None:
    assert call("down").output == "no testbed is running\n"
    assert call("down", "-n", "demo").output == "demo: was not running\n"
    for name in ("one", "two"):
        call("up", str(TOPOLOGY), "-n", name)
    assert call("down").exit_code == 2
    assert call("down", "--all", "-n", "one").exit_code == 2
    assert call("down", "-n", "one").output == "one: is down\n"
    assert json.loads(call("down", "--all", "--json").output) == [{"name": "two", "stopped": True}]
    assert json.loads(call("list", "--json").output) == []


def test_up_starts_then_changes_then_rests(call: Call, starting: dict[str, FakeKeeper]) -> None:
    result = call("up", str(TOPOLOGY), "--timings")
    assert result.exit_code == 0
    assert "two-racks is up: 31 nodes, 46 links" in result.stdout
    assert "nodes                  3.0 ms" in result.stdout
    assert "waiting: 0 of 1 ready; not yet: the LAG" in result.stderr
    assert starting["two-racks"].ledger.source["file"] == str(TOPOLOGY)
    assert "two-racks: nothing to change" in call("up", str(TOPOLOGY)).stdout
    starting["two-racks"].plan = {"name": "two-racks", "nodes": [], "checks": []}
    assert "two-racks: changed, 7 steps" in call("up", str(TOPOLOGY)).stdout


def test_up_json(call: Call, starting: dict[str, FakeKeeper]) -> None:
    result = call("up", str(TOPOLOGY), "--json", "-n", "mine", "--no-wait", "--timeout", "3")
    answer = json.loads(result.stdout)
    assert result.stderr == ""
    assert {key: answer[key] for key in ("name", "started", "changed", "ok", "nodes")} == {
        "name": "mine",
        "started": True,
        "changed": True,
        "ok": True,
        "nodes": 31,
    }
    assert {"load", "lower", "start", "nodes"} <= set(answer["timings"])
    request = starting["mine"].requests[-1]
    assert (request["wait"], request["timeout_s"], request["plan"]["name"]) == (False, 3, "mine")


def test_up_that_misses_its_deadline_stays_up(
    call: Call, starting: dict[str, FakeKeeper], keeper_of: Callable[..., FakeKeeper]
) -> None:
    keeper = keeper_of("two-racks")
    pending = [{"title": "LAG op-a.ond1 bond0", "state": "no partner"}]
    result = {"changed": True, "steps": 1, "timings": {}, "pending": pending}
    keeper.replies["apply"] = lambda *_: result
    done = call("up", str(TOPOLOGY), "--timeout", "2")
    assert done.exit_code == 1
    assert "LAG op-a.ond1 bond0" in done.stderr
    assert "no partner" in done.stderr
    assert "1 thing is not ready after 2 s" in done.stderr
    assert "the testbed stays up" in done.stderr
    assert json.loads(call("up", str(TOPOLOGY), "--json").stdout)["pending"] == pending
    assert not keeper.stopped.is_set()


def test_an_interrupted_first_up_leaves_nothing(
    call: Call, starting: dict[str, FakeKeeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    from testbed.control.client import Client

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "apply", interrupted)
    result = call("up", str(TOPOLOGY))
    assert result.exit_code == 130
    assert "interrupted; two-racks: nothing of it is left" in result.stderr
    assert starting["two-racks"].stopped.is_set()


def failing(channel: Channel, request: dict[str, Any]) -> None:
    channel.send({"event": "phase", "phase": "apply", "state": "start"})
    raise HostError("No space left on device", hint="make room")


def test_a_first_up_that_fails_leaves_nothing(
    call: Call, starting: dict[str, FakeKeeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeKeeper, "_apply", lambda _, *rest: failing(*rest))
    result = call("up", str(TOPOLOGY))
    assert result.exit_code == 3
    assert "No space left on device" in result.stderr
    assert starting["two-racks"].stopped.is_set()
    assert json.loads(call("list", "--json").output) == []


def test_a_change_that_fails_leaves_it_running(
    call: Call, starting: dict[str, FakeKeeper], keeper_of: Callable[..., FakeKeeper]
) -> None:
    keeper = keeper_of("two-racks", small_plan("two-racks"))
    keeper.replies["apply"] = failing
    assert call("up", str(TOPOLOGY)).exit_code == 3
    assert not keeper.stopped.is_set()


def test_up_wrong_input(call: Call, starting: dict[str, FakeKeeper], tmp_path: Any) -> None:
    assert call("up", str(tmp_path / "no.yaml")).exit_code == 2
    assert call("up", str(TOPOLOGY), "-n", "Not A Name").exit_code == 2
    assert call("up", str(TOPOLOGY), "--set", "novalue").exit_code == 2
    assert call("up", str(TOPOLOGY), "--vm", "perhaps").exit_code == 2
    assert call("up", str(TOPOLOGY), "--timeout", "0").exit_code == 2
    assert starting == {}


def test_validate(call: Call, tmp_path: Any) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("testbed: 1\nname: x\ncolour: red\n")
    result = call("validate", str(TOPOLOGY), str(wrong))
    assert result.exit_code == 2
    assert f"{TOPOLOGY}: ok (two-racks)" in result.stdout
    assert f"{wrong}:3:1: colour" in result.stderr
    answer = json.loads(call("validate", str(wrong), "--json").stdout)
    assert answer["ok"] is False
    assert answer["files"][0]["error"]["problems"][0]["line"]
    assert call("validate", str(TOPOLOGY)).exit_code == 0


def test_schema(call: Call) -> None:
    assert json.loads(call("schema").output)["properties"]["testbed"]


def test_plan_shows_what_was_derived(call: Call) -> None:
    tree = call("plan", str(TOPOLOGY), "cnd1").output
    for text in ("vlan parent op-a vid 1001", "lacp_rate fast", "mac 02:", "neighbor 198.18.0.0"):
        assert text in tree
    assert "neighbor 198.18.0.0" not in call("plan", str(TOPOLOGY), "cnd1", "--brief").output
    table = call("plan", str(TOPOLOGY), "--table").output
    for heading in ("Interfaces", "Routes", "Rules", "Processes", "Must hold"):
        assert heading in table
    data = json.loads(call("plan", str(TOPOLOGY), "--json").output)
    assert len(data["nodes"]) == 31
    data = json.loads(call("plan", str(TOPOLOGY), "a", "--json", "-n", "other").output)
    assert ([node["name"] for node in data["nodes"]], data["name"]) == (["a"], "other")
    assert call("plan", str(TOPOLOGY), "cnd9").exit_code == 2


def test_plan_says_what_up_would_make_anew(
    call: Call, keeper_of: Callable[..., FakeKeeper], tmp_path: Path
) -> None:
    """A local gateway route table in another mode is deleted and created."""
    text = (TOPOLOGY.parent / "coip.yaml").read_text()
    file = tmp_path / "coip.yaml"
    file.write_text(text)
    assert call("plan", str(file)).stderr == ""
    running = lower(load(file))
    keeper_of("coip", running)
    assert call("plan", str(file)).stderr == ""
    direct = [
        replace(check, mode="direct-vpc-routing") if isinstance(check, LocalGatewayCheck) else check
        for check in running.checks
    ]
    keeper_of("other", replace(running, name="other", checks=tuple(direct)))
    said = call("plan", str(file), "-n", "other").stderr
    assert "the mode changes from direct-vpc-routing to coip" in said


def test_down_takes_names_and_files(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    alive = {"one", "two", "two-racks"}
    monkeypatch.setattr("testbed.control.registry.running", lambda: sorted(alive))

    def take_down(name: str) -> bool:
        ran = name in alive
        alive.discard(name)
        return ran

    monkeypatch.setattr("testbed.lifecycle.bringup.take_down", take_down)
    rows = json.loads(call("down", "one", str(TOPOLOGY), "--json").output)
    assert rows == [{"name": "one", "stopped": True}, {"name": "two-racks", "stopped": True}]
    assert call("down", "two", "--all").exit_code == 2
    assert "two: is down" in call("down", "two").output
    assert "one: was not running" in call("down", "one").output
    assert call("down", "No_Name").exit_code == 2
    missing = call("down", "two-rakcs.yaml")
    assert missing.exit_code == 2
    assert "there is no topology 'two-rakcs.yaml'" in missing.stderr
    assert "did you mean 'two-racks'?" in missing.stderr
    alive.add("two-racks")
    assert call("down", "two-racks-blocked").output == "two-racks: is down\n"


def test_inspect_lists_nodes(call: Call, keeper: FakeKeeper) -> None:
    assert "op-a.ond1" in call("inspect").output
    rows = json.loads(call("inspect", "--json").output)["nodes"]
    assert rows[3]["addresses"] == ["10.9.9.9/32", "10.77.7.88/24"]
    assert call("inspect", "cnd2").exit_code == 2


def test_inspect_compares(call: Call, keeper: FakeKeeper, ip_in_path: Any) -> None:
    keeper.replies["status"] = lambda *_: STATUS
    result = call("inspect", "a")
    assert result.exit_code == 0
    assert "mtu 1400 instead of 1500" in result.output
    assert "missing" in result.output
    assert "as planned" in result.output
    answer = json.loads(call("inspect", "a", "--json").output)
    assert answer["planned"]["name"] == "a"
    assert answer["actual"]["routes"][0]["dst"] == "default"


@pytest.fixture
def ip_in_path(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    address = {"family": "inet", "local": "10.77.7.88", "prefixlen": 24}
    links = [
        {
            "ifname": "lo",
            "mtu": 65536,
            "operstate": "UNKNOWN",
            "flags": ["UP", "LOWER_UP"],
            "addr_info": [{"family": "inet", "local": "10.9.9.9", "prefixlen": 32}],
        },
        {
            "ifname": "eth0",
            "mtu": 1400,
            "operstate": "UP",
            "flags": ["UP", "LOWER_UP"],
            "address": "02:00:00:00:00:01",
            "addr_info": [address],
        },
    ]
    routes = [{"dst": "default", "gateway": "10.77.7.1", "dev": "eth0", "protocol": "static"}]
    rules = [{"priority": 100, "src": "all", "fwmark": "0x1", "table": "1"}]
    answers = {"address": links, "route": routes, "rule": rules, "neighbor": []}
    for word, answer in answers.items():
        (tmp_path / word).write_text(json.dumps(answer))
    script = tmp_path / "ip"
    script.write_text(
        "#!/bin/sh\nfor word; do case $word in address|route|rule|neighbor) "
        f"exec cat {tmp_path}/$word;; esac; done; exit 1\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def test_doctor(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from testbed.cli import doctor
    from testbed.kernel import features

    row = features.Feature("bond", False, "LAGs", "CONFIG_BONDING", "module bonding", "Unknown")
    program = features.Program("bird", "bird2", "routing", required=True)
    guest = {"kind": "qemu", "ok": True, "accelerated": False, "problems": []}
    guest |= {"lacking": [], "hints": []}
    other = guest | {"kind": "uml", "ok": False, "problems": ["none built"], "hints": ["build it"]}
    monkeypatch.setattr(features, "probe", lambda: [row])
    monkeypatch.setattr(features, "programs", list)
    monkeypatch.setattr(doctor, "_guests", lambda: [other, guest])
    result = call("doctor")
    assert result.exit_code == 0
    assert "build it" in result.output
    assert "CONFIG_BONDING" in result.output
    assert "testbeds run in a micro VM (qemu)" in result.output
    monkeypatch.setattr(features, "programs", lambda: [program])
    result = call("doctor")
    assert (result.exit_code, "install bird2" in result.output) == (3, True)
    monkeypatch.setattr(features, "programs", list)
    guest |= {"ok": False, "problems": ["no qemu: install qemu-system-x86"]}
    result = call("doctor", "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 3
    assert (answer["ok"], answer["native"], answer["features"][0]["name"]) == (False, False, "bond")
    assert answer["guest"]["problems"] == ["no qemu: install qemu-system-x86"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(call: Call, shell: str) -> None:
    output = call("completion", shell).output
    assert f"# Install: testbed completion {shell} >" in output
    assert "_TESTBED_COMPLETE" in output


def test_topology_errors_as_json_have_their_place(call: Call, tmp_path: Any) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("testbed: 2\n")
    result = call("plan", str(wrong), "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["problems"][0]["line"] == 1


def test_usage_error_of_the_keeper(call: Call, keeper: FakeKeeper) -> None:
    def refuse(*_: Any) -> None:
        raise UsageError("unknown operation")

    keeper.replies["plan"] = refuse
    assert call("inspect").exit_code == 2


@pytest.mark.parametrize("columns", [80, 100, 140, 200])
def test_status_fits_the_terminal(columns: int, status: dict[str, Any]) -> None:
    import io

    from rich.console import Console

    from testbed.render.tables import print_status

    for row in status["bgp"]:
        row |= {"title": "op-a OND1 - cnd1, service-link VLAN 1001", "node": "region.anchor1"}
        row |= {"neighbor": "100.96.255.254", "state": "Established", "reason": None}
    output = io.StringIO()
    print_status(Console(file=output, width=columns), status, everything=False)
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    sessions = [
        line.split() for line in lines if "op-a OND1 - cnd1, service-link VLAN 1001" in line
    ]
    assert len(sessions) == 2
    assert all(words[0] == "region.anchor1" and "Established" in words for words in sessions)
    assert all(("100.96.255.254" in words) == (columns > 80) for words in sessions)


def test_output_that_nobody_reads_is_not_the_networks_no(
    environment: dict[str, str], status: dict[str, Any]
) -> None:
    status["nodes"] *= 5000
    words = [*program(), "status", "--all"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 141


def test_a_node_without_its_group_is_recognised() -> None:
    names = [f"op-{index}.lgw" for index in range(50)] + ["site.wan"]
    assert no_such_node("wan", "demo", names).hint == "did you mean 'site.wan'?"
    assert (no_such_node("lgw", "demo", names).hint or "").count("lgw") == 4
    assert no_such_node("zzz", "demo", names).hint == (
        "there are 51 nodes: `testbed inspect` lists them"
    )
    assert no_such_node("zzz", "demo", ["a", "b"]).hint == "nodes: a, b"


def test_testbeds_of_others_are_not_seen(monkeypatch: pytest.MonkeyPatch, runtime: Path) -> None:
    from testbed.control import registry
    from testbed.lifecycle import start

    (runtime / "theirs").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert registry.running() == []
    with pytest.raises(HostError, match="another user's"):
        start.ensure_running("theirs", vm="never", plan=small_plan())
    assert (runtime / "theirs").is_dir()
