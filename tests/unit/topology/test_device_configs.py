"""Devices' own configurations are parsed by the daemons themselves, before anything is built."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from testbed.errors import TopologyError
from testbed.lifecycle import device_configs
from testbed.lifecycle.installation import load_topology, lower_topology, read_file
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
        ("frr", "hello world {\n", [(1, 1, "bgpd: unknown command: hello world {")]),
        (
            "frr",
            "interface eth0\n ip address 192.0.2.1/24\nexit\nip route 0.0.0.0/0 192.0.2.2\n",
            [
                (2, 1, "bgpd: unknown command: ip address 192.0.2.1/24"),
                (4, 1, "bgpd: unknown command: ip route 0.0.0.0/0 192.0.2.2"),
            ],
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
    assert "frr.conf was not parsed: bgpd is not installed here (package frr)" in note
