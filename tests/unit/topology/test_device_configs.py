"""Devices' own configurations are parsed by the daemons themselves, before anything is built."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from testbed.errors import TopologyError, UsageError
from testbed.lifecycle import device_configs
from testbed.lifecycle.device_diff import difference, generated
from testbed.lifecycle.installation import load_topology, lower_topology, read_file
from testbed.plan.checks import BgpCheck
from testbed.plan.files import files_of

FILE = """
testbed: 1
name: own
region: {{name: us-west-2}}
vpcs: {{app: {{cidr: 10.77.0.0/16, subnets: {{rack: {{cidr: 10.77.7.0/24, outpost: op}}}}}}}}
outposts: {{op: {{devices: [left, right]}}}}
site: {{devices: {{left: {{daemon: {daemon}, config: conf/{daemon}.conf}}, right: {{}}}}}}
"""
GOOD = {
    "bird": "router id 192.0.2.1;\nprotocol device { }\n",
    "frr": "hostname left\nservice integrated-vtysh-config\nrouter bgp 65000 vrf lgw\nexit\n",
}


STATIC_ROUTES = """\
vrf lgw
 ip route 10.0.0.0/8 192.0.2.1 eth7
 ip route 10.1.0.0/16 op.2001
 ip route 10.2.0.0/16 192.0.2.1 nexthop-vrf other
"""


def load(folder: Path, daemon: str, text: str, notes: list[str] | None = None) -> None:
    program = "bird" if daemon == "bird" else "bgpd"
    if notes is None and not shutil.which(program, path=device_configs.SEARCH_PATH):
        pytest.skip(f"{program} is not installed")
    (folder / "conf").mkdir(exist_ok=True)
    (folder / "conf" / f"{daemon}.conf").write_text(text)
    (folder / "site.yaml").write_text(FILE.format(daemon=daemon))
    read_file(folder / "site.yaml", notes=notes)


@pytest.mark.parametrize("daemon", ["bird", "frr"])
def test_what_is_in_order_passes(tmp_path: Path, daemon: str) -> None:
    load(tmp_path, daemon, GOOD[daemon])


@pytest.mark.parametrize("daemon", ["bird", "frr"])
def test_so_does_what_the_testbed_itself_generates(tmp_path: Path, daemon: str) -> None:
    load(tmp_path, daemon, GOOD[daemon])
    text = (tmp_path / "site.yaml").read_text().replace(f", config: conf/{daemon}.conf", "")
    (tmp_path / "plain.yaml").write_text(text)
    files = files_of(lower_topology(load_topology(tmp_path / "plain.yaml", {})).node("left"))
    load(tmp_path, daemon, files["bird.conf" if daemon == "bird" else "bgpd.conf"])


@pytest.mark.parametrize(
    ("daemon", "text", "problems"),
    [
        ("bird", "hello world {\n", [(1, 1, "BIRD: syntax error")]),
        (
            "bird",
            GOOD["bird"] + "protocol bgp a {\n  local as 65000;\n  neighbour 192.0.2.2;\n}\n",
            [(5, 3, "BIRD: syntax error")],
        ),
        (
            "bird",
            GOOD["bird"] + 'protocol direct {\n  vrf "inet"; # vrf "other"\n}\n',
            [(4, 8, "left has no VRF inet")],
        ),
        ("frr", "hello world {\n", [(1, 1, "FRR: unknown command: hello world {")]),
        (
            "frr",
            "interface eth0\n ip address 192.0.2.1/24\nexit\nip route 0.0.0.0/0 192.0.2.2\n",
            [
                (1, 11, "left has no interface eth0"),
                (4, 1, "all interfaces of left are in VRFs, so this route of the VRF default"),
            ],
        ),
        (
            "frr",
            "interface op.1001\n ip address 300.0.2.1/24\n ip pim\n",
            [
                (2, 1, "FRR: unknown command: ip address 300.0.2.1/24"),
                (3, 1, "this line is for FRR's pimd, which no device runs"),
            ],
        ),
        (
            "frr",
            "route-map X permit 10\n set as-path prepend 1\nexit\nip protocol bgp route-map X\n",
            [(2, 1, "zebra: unknown command: set as-path prepend 1")],
        ),
        (
            "frr",
            STATIC_ROUTES,
            [(2, 32, "left has no interface eth7"), (4, 45, "left has no VRF other")],
        ),
        (
            "bird",
            GOOD["bird"] + 'protocol static {\n  ipv4;\n  route 10.0.0.0/8 via "e9";\n}\n',
            [(5, 25, "left has no interface e9")],
        ),
        (
            "frr",
            "router bgp 65000 vrf lgw\n neighbor 192.0.2.9 timers 1 3\nexit\n",
            [(2, 1, "bgpd: Specify remote-as or peer-group commands first")],
        ),
        (
            "frr",
            "router bgp 65000 vrf inet\n address-family ipv4 unicast\n  import vrf route-map L\n",
            [(1, 22, "left has no VRF inet")],
        ),
    ],
)
def test_each_line_that_would_have_no_effect_is_told(
    tmp_path: Path, daemon: str, text: str, problems: list[tuple[int, int, str]]
) -> None:
    with pytest.raises(TopologyError) as caught:
        load(tmp_path, daemon, text)
    found = caught.value.problems
    assert {problem.file for problem in found} == {str(tmp_path / "conf" / f"{daemon}.conf")}
    assert len(found) == len(problems), found
    for problem, (line, column, message) in zip(found, problems, strict=True):
        assert (problem.line, problem.column) == (line, column)
        assert problem.message.startswith(message)
        assert problem.object == "site.devices.left.config"


def test_without_the_daemon_there_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_configs, "SEARCH_PATH", str(tmp_path))
    notes: list[str] = []
    load(tmp_path, "frr", "hello world {\n", notes)
    [note] = notes
    assert "frr.conf was not parsed: vtysh is not installed here (package frr)" in note


def test_what_is_about_a_terminal_is_a_note(tmp_path: Path) -> None:
    notes: list[str] = []
    load(tmp_path, "frr", GOOD["frr"])
    load(tmp_path, "frr", GOOD["frr"] + "line vty\n", notes)
    [note] = notes
    assert note.endswith("without effect, because a node has no terminal of FRR's: line 2, 5")


OWN_WORDS = "config: conf/frr.conf, config_interfaces: {bond0: op}, vrfs: {inet: [region]}"


def test_the_topology_says_what_the_file_calls_things(tmp_path: Path) -> None:
    text = "interface bond0.1001 vrf sl\nexit\nvrf inet\n ip route 10.0.0.0/8 region\n"
    with pytest.raises(TopologyError) as caught:
        load(tmp_path, "frr", text)
    assert [problem.line for problem in caught.value.problems] == [1, 3]
    file = tmp_path / "site.yaml"
    file.write_text(file.read_text().replace("config: conf/frr.conf", OWN_WORDS))
    node = read_file(file).plan.node("left")
    assert node.interface("region").master == "inet"
    assert "interface op.1001 vrf sl" in node.files["zebra.conf"]
    assert [process.name for process in node.processes] == ["zebra", "staticd"]
    file.write_text(
        file.read_text().replace("[region]", "[nowhere]").replace("bond0: op", "bond0: x")
    )
    with pytest.raises(TopologyError) as caught:
        read_file(file)
    said = {problem.message for problem in caught.value.problems}
    assert "left has no interface nowhere for the VRF inet" in said
    assert "left has no interface x that bond0 could be" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("vrfs: {inet: []}", "left has no configuration of its own"),
        ("config_interfaces: {a: op}", "left has no configuration of its own"),
        ("config: conf/frr.conf, vrfs: {sl: []}", "every device has the VRF sl"),
        (
            "config: conf/frr.conf, vrfs: {a: [region], b: [region]}",
            "region is already in the VRF a",
        ),
    ],
)
def test_words_that_make_no_sense_are_refused(tmp_path: Path, words: str, message: str) -> None:
    load(tmp_path, "frr", GOOD["frr"])
    file = tmp_path / "site.yaml"
    file.write_text(file.read_text().replace("config: conf/frr.conf", words))
    with pytest.raises(TopologyError) as caught:
        read_file(file)
    assert message in str(caught.value)


def test_the_sessions_that_the_file_has_are_waited_for(tmp_path: Path) -> None:
    text = "router bgp 65000 vrf lgw\n neighbor 198.19.0.0 remote-as 64513\nexit\n"
    load(tmp_path, "frr", text)
    checks = read_file(tmp_path / "site.yaml").plan.checks
    [check] = [one for one in checks if isinstance(one, BgpCheck) and one.node == "left"]
    assert (check.daemon, check.protocol, check.neighbor) == ("frr", "", "198.19.0.0")


def test_the_difference_to_what_would_be_generated(tmp_path: Path) -> None:
    load(tmp_path, "frr", GOOD["frr"])
    file = tmp_path / "site.yaml"
    topology = load_topology(file, {})
    assert "-router bgp 65000 vrf sl" in difference(topology, "left").splitlines()
    assert "+service integrated-vtysh-config" in difference(topology, "left").splitlines()
    whole = tmp_path / "conf" / "frr.conf"
    whole.write_text(generated(topology, "left"))
    assert not difference(load_topology(file, {}), "left")
    with pytest.raises(UsageError, match="right has no configuration of its own"):
        difference(topology, "right")
    with pytest.raises(UsageError, match="no customer device 'up'"):
        generated(topology, "up")
