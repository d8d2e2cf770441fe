"""The site part of a topology from switches' configurations; no line is dropped in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from testbed.cli import cli
from testbed.errors import UsageError
from testbed.importing import Answers, Imported, import_files
from testbed.importing.lines import read, vendor_of
from testbed.topology import loads

FILES = Path(__file__).parents[1] / "importing"
CORE = [FILES / "core-1.nxos", FILES / "core-2.eos"]
EDGE = [FILES / "edge-a.ios", FILES / "edge-b.junos"]
OF_CORE = Answers(
    {"op": [("core-1", "port-channel10"), ("core-2", "Po10")]},
    frozenset({1001, 1002}),
    region=[("core-1", "203.0.113.1")],
)
OF_EDGE = Answers({"op": [("edge-a", "Po1"), ("edge-b", "ae1")]}, frozenset({101, 102}))
REST = """
testbed: 1
name: imported
region: {name: us-west-2}
vpcs: {app: {cidr: 10.77.0.0/16, subnets: {rack: {cidr: 10.77.7.0/24, outpost: op}}}}
"""


def unused(made: Imported) -> dict[str, str]:
    return {entry.text: entry.reason for entry in made.unused}


def test_nxos_and_eos() -> None:
    made = import_files(CORE, OF_CORE)
    assert made.data == {
        "outposts": {
            "op": {
                "devices": ["core-1", "core-2"],
                "uplinks": {"speed": "10G", "per_device": 2},
                "service_link": {
                    "asn": 64600,
                    "vifs": [
                        vif(1, 1001, "10.1.0.1/30", "10.1.0.2/30"),
                        vif(2, 1002, "10.1.0.5/30", "10.1.0.6/30"),
                    ],
                },
                "local_gateway": {
                    "asn": 64601,
                    "vifs": [
                        vif(1, 2001, "172.20.0.1/30", "172.20.0.2/30"),
                        vif(2, 2002, "172.20.0.5/30", "172.20.0.6/30"),
                    ],
                },
            }
        },
        "site": {
            "devices": {"core-1": {"asn": 65010}, "core-2": {"asn": 65010}},
            "links": [{"devices": ["core-1", "core-2"]}],
            "region_link": {"devices": ["core-1"]},
            "segments": {
                "office": {
                    "cidr": "192.168.20.0/24",
                    "vlan": 20,
                    "devices": ["core-1", "core-2"],
                    "addresses": {"core-1": "192.168.20.2", "core-2": "192.168.20.3"},
                }
            },
        },
    }


def vif(device: int, vlan: int, local: str, peer: str) -> dict[str, object]:
    return {"device": device, "vlan": vlan, "local_address": local, "peer_address": peer}


def test_ios_and_junos() -> None:
    made = import_files(EDGE, OF_EDGE)
    outpost = made.data["outposts"]["op"]
    assert outpost["uplinks"] == {"speed": "10G", "per_device": 1, "bfd": True}
    assert outpost["service_link"]["vifs"][1] == vif(2, 102, "10.2.0.5/30", "10.2.0.6/30")
    assert outpost["local_gateway"]["asn"] == 64701
    assert made.data["site"]["segments"]["plant"]["devices"] == ["edge-a", "edge-b"]
    assert made.data["faults"] == [{"kind": "lacp-slow", "target": "edge-a:op"}]
    assert "inactive" in unused(made)["802.3ad ae1;"]
    assert "interface Vlan99" not in unused(made)  # a banner's text is no interface
    assert made.prefix_lists[str(EDGE[1])] == {"ours": ["10.200.0.0/26", "172.21.0.0/16"]}


@pytest.mark.parametrize(("files", "answers"), [(CORE, OF_CORE), (EDGE, OF_EDGE)])
def test_the_result_is_a_topologys(files: list[Path], answers: Answers) -> None:
    assert loads(REST + import_files(files, answers).text).racks["op"].lags[1].members


@pytest.mark.parametrize("answers", [OF_CORE, Answers()])
def test_every_line_is_used_or_listed(answers: Answers) -> None:
    """Lines that say nothing aside: what one takes out of the file comes out of one of the two."""
    made = import_files(CORE, answers)
    for file in CORE:
        text = file.read_text()
        configuration = read(text, str(file), vendor_of(text, str(file)))
        listed = {entry.line for entry in made.unused if entry.file == str(file)}
        for number, line in enumerate(text.splitlines(), 1):
            says = line.strip() and not line.strip().startswith(("!", "end", "exit"))
            assert (number in configuration.lines) == bool(says)
            if number in listed:
                assert says
    reasons = unused(made)
    assert "prefix list INFRA" in reasons["ip prefix-list INFRA seq 5 permit 10.200.0.0/26 le 27"]
    assert "shut down" in reasons["shutdown"]
    assert ("interface Vlan1001" in reasons) == (answers is not OF_CORE)


def test_what_looks_like_an_outposts_lag_is_a_note() -> None:
    notes = import_files(CORE, Answers()).notes
    assert any("core-1 Po10: VLANs" in note and "1001 (AS 64600)" in note for note in notes)
    assert any("no --region was given" in note for note in notes)


def test_a_neighbour_of_whom_nobody_said_who_it_is_makes_no_segment(tmp_path: Path) -> None:
    file = tmp_path / "a.cfg"
    file.write_text(
        "version 15.2\nhostname A.example.org\ninterface GigabitEthernet0/0\n"
        " ip address 192.0.2.2 255.255.255.0\ninterface GigabitEthernet0/1\n"
        " ip address 192.0.3.1 255.255.255.0\n"
        "router bgp 65001\n neighbor 192.0.2.1 remote-as 65002\n"
    )
    made = import_files([file], Answers())
    assert made.data["site"]["devices"] == {"a": {"asn": 65001}}
    assert [s["cidr"] for s in made.data["site"]["segments"].values()] == ["192.0.3.0/24"]
    assert "192.0.2.1" in unused(made)["ip address 192.0.2.2 255.255.255.0"]
    made = import_files([file], Answers(wan=[("a", "192.0.2.1")]))
    assert made.data["site"]["wan"] == {"asn": 65002, "devices": ["a"]}
    assert "ip address 192.0.2.2 255.255.255.0" not in unused(made)


def test_one_address_in_two_vrfs_is_two(tmp_path: Path) -> None:
    text = """\
feature bgp
hostname {name}
vrf context A
vrf context B
interface Vlan10
  vrf member A
  ip address 192.0.2.{own}/31
interface Vlan11
  vrf member B
  mtu {mtu}
  ip address 192.0.2.{own}/31
router bgp 65001
  vrf B
    neighbor 192.0.2.{far}
      remote-as 65001
"""
    files = []
    for name, own, far in (("one", 0, 1), ("two", 1, 0)):
        files.append(tmp_path / f"{name}.cfg")
        files[-1].write_text(text.format(name=name, own=own, far=far, mtu=1400))
    made = import_files(files, Answers())
    assert made.data["site"]["links"] == [{"devices": ["one", "two"], "mtu": 1400}]
    assert {entry.line for entry in made.unused if entry.file == str(files[0])} >= {5, 6, 7}


def test_a_native_vlan_and_a_small_mtu_are_faults(tmp_path: Path) -> None:
    file = tmp_path / "core-1.cfg"
    text = (
        CORE[0]
        .read_text()
        .replace(
            "  switchport mode trunk\n",
            "  switchport mode trunk\n  switchport trunk native vlan 1001\n",
            1,
        )
    )
    file.write_text(text.replace("interface Vlan2001\n", "interface Vlan2001\n  mtu 1400\n"))
    made = import_files([file, CORE[1]], OF_CORE)
    assert made.data["faults"] == [
        {"kind": "vlan-untagged", "target": "core-1:op.1001"},
        {"kind": "mtu", "target": "core-1:op.2001", "mtu": 1400},
    ]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (Answers({"op": OF_CORE.outposts["op"]}), "one VLAN must be the service link's"),
        (Answers({"op": [("core-1", "Po10")]}), "op has two LAGs, 1 are named"),
        (Answers({"op": [("core-1", "Po10"), ("core-9", "Po1")]}), "no file is about core-9"),
        (Answers({"op": [("core-1", "Po11"), ("core-2", "Po10")]}), "core-1 has no LAG Po11"),
        (Answers(region=[("core-2", "192.0.2.9")]), "core-2 has no BGP neighbour 192.0.2.9"),
    ],
)
def test_what_fits_no_file_is_refused(answers: Answers, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        import_files(CORE, answers)


def test_links_that_are_not_alike_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "core-2.cfg"
    file.write_text(CORE[1].read_text().replace("   channel-group 10 mode active\n", "", 1))
    with pytest.raises(UsageError, match="the LAGs of op have 2 and 1 links"):
        import_files([CORE[0], file], OF_CORE)


@pytest.mark.parametrize(
    ("text", "vendor"),
    [
        ("vrf context A\n", "nxos"),
        ("vrf instance A\n", "eos"),
        ("set system host-name a\n", "junos"),
    ],
)
def test_the_vendor_is_told_by_what_only_it_writes(text: str, vendor: str) -> None:
    assert vendor_of(text, "f") == vendor


@pytest.mark.parametrize("text", ["hostname a\n", "vrf context A\nvrf instance B\n"])
def test_a_vendor_is_not_guessed(text: str) -> None:
    with pytest.raises(UsageError, match=r"^f "):
        vendor_of(text, "f")


def test_the_command(tmp_path: Path) -> None:
    argv = ["import", *map(str, CORE), "--outpost", "op=core-1:Po10,core-2:Po10"]
    argv += ["--service-link", "1001", "--service-link", "1002"]
    done = CliRunner().invoke(cli, [*argv, "-o", str(tmp_path / "site.yaml")])
    assert done.exit_code == 0, done.output
    assert "lines not used:" in done.stderr
    assert "core-1.nxos:2: version 9.3(8)" in done.stderr
    data = json.loads(CliRunner().invoke(cli, [*argv, "--json"]).stdout)
    assert set(data) == {"topology", "notes", "unused", "prefix_lists"}
    assert loads(REST + (tmp_path / "site.yaml").read_text()).site.links
