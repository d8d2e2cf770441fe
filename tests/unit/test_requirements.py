"""What a plan needs of the kernel and which programs it starts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from testbed.kernel import features, isolation, trials
from testbed.kernel.features import Feature, lacking, programs, required
from testbed.kernel.packages import OF_CONTAINERS
from testbed.plan import model as m
from testbed.plan.container import Container, Limits


def plan(**members: object) -> m.Plan:
    return m.Plan("t", (m.Node("n", "host", "g", **members),))  # type: ignore[arg-type]


def interfaces(*devices: m.LinkKind) -> tuple[m.Interface, ...]:
    return tuple(m.Interface(f"i{number}", device) for number, device in enumerate(devices))


def test_an_empty_plan_needs_namespaces() -> None:
    assert required(m.Plan("t", ())) == {"namespaces"}


def test_interfaces_need_their_kinds() -> None:
    devices = interfaces(m.Loopback(), m.Veth("x", "y"), m.Bond(), m.Vlan("i2", 7), m.Bridge())
    assert required(plan(interfaces=devices)) == {"namespaces", "veth", "bond", "vlan", "bridge"}


def test_a_vrf_needs_rules() -> None:
    assert required(plan(interfaces=interfaces(m.Vrf(10)))) >= {"vrf", "policy-routing"}
    assert "policy-routing" in required(plan(rules=(m.Rule(1000, 10),)))


def test_delay_needs_netem() -> None:
    slow = m.Interface("a", m.Veth("x", "y"), netem=m.Netem(delay_ms=1))
    assert "netem" in required(plan(interfaces=(slow,)))
    assert "prio" not in required(plan(interfaces=(slow,)))
    some = m.Interface("a", m.Veth("x", "y"), netem=m.Netem(delay_ms=1, classified=True))
    assert required(plan(interfaces=(some,))) >= {"netem", "prio"}


def test_balancing_needs_multipath() -> None:
    hops = (m.Nexthop(None, "a"), m.Nexthop(None, "b"))
    assert "multipath" in required(plan(routes=(m.Route("192.0.2.0/24", nexthops=hops),)))
    assert "multipath" not in required(plan(routes=(m.Route("192.0.2.0/24", dev="a"),)))
    daemon = m.Process("bird", ("/usr/sbin/bird", "-f"))
    assert "multipath" in required(plan(processes=(daemon,)))


@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        ("accept", set()),
        ("ct state established accept", {"conntrack"}),
        ("ct mark and 1 == 0 accept", {"conntrack", "conntrack-mark"}),
        ("ip saddr 192.0.2.1 snat to 198.51.100.1", {"nat"}),
        ("oifname eth0 masquerade", {"masquerade"}),
        ("fib saddr oif missing drop", {"fib"}),
        ("reject with icmp type admin-prohibited", {"reject"}),
        ("iifname direct accept", set()),  # the letters alone mean nothing
    ],
)
def test_rulesets_need_what_they_say(rule: str, needed: set[str]) -> None:
    found = required(plan(nftables=f"table inet t {{ chain c {{ {rule} }} }}"))
    assert found == {"namespaces", "nftables"} | needed


def test_only_what_the_plan_needs_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    bond = Feature("bond", False, "LAGs", "CONFIG_BONDING", "module bonding", "Unknown device type")
    veth = Feature("veth", True, "cables", "CONFIG_VETH", "module veth")
    vrf = Feature("vrf", False, "VRFs", "CONFIG_NET_VRF", "module vrf", "Unknown device type")
    monkeypatch.setattr(features, "probe", lambda: [bond, veth, vrf])
    assert lacking(plan(interfaces=interfaces(m.Veth("x", "y"), m.Bond()))) == [bond]


def test_missing_programs_and_their_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(features, "PROGRAM_PATH", str(tmp_path))
    (tmp_path / "ping").touch(mode=0o755)
    (tmp_path / "zebra").touch(mode=0o644)  # there, but no program
    processes = (
        m.Process("bird", ("bird", "-f")),
        m.Process("zebra", ("zebra",)),
        m.Process("services", ("testbed-services", "n", "http")),
        m.Process("own", (str(tmp_path / "gone"),)),
    )
    missing = {p.name: p for p in programs(plan(processes=processes))}
    required = {"bird", "zebra", str(tmp_path / "gone")}
    assert {name for name, program in missing.items() if program.required} == required
    assert {"tcpdump", "iperf3", *OF_CONTAINERS} == missing.keys() - required
    assert missing["bird"].package == "bird2"
    assert missing["zebra"].package == "frr"
    assert missing["bird"].required
    assert not missing["tcpdump"].required


@pytest.mark.parametrize(
    ("image", "needed"),
    [
        ("", {"crun"}),
        ("/srv/image", {"crun"}),
        ("busybox", {"crun", "busybox"}),
        ("oci:/srv/layout", {"crun", "umoci"}),
        ("docker://registry/app", {"crun", "umoci", "skopeo"}),
    ],
)
def test_an_image_needs_what_brings_it(
    image: str, needed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "_found", lambda _: False)
    process = m.Process("app", (), container=Container(image))
    assert {p.name for p in programs(plan(processes=(process,))) if p.required} == needed


def test_limits_need_a_micro_vm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "probe", list)
    free = m.Process("app", ("sh",), container=Container(limits=Limits(open_files=9)))
    held = replace(free, container=Container(limits=Limits(memory_mib=64)))
    assert lacking(plan(processes=(free,))) == []
    assert [feature.name for feature in lacking(plan(processes=(held,)))] == ["control-groups"]


def test_a_library_is_missed_only_where_there_are_rulesets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_loads", lambda _: False)
    assert "libnftables.so.1" not in {p.name for p in programs(plan())}
    ruleset = plan(nftables="table inet t { }")
    assert "libnftables.so.1" in {p.name for p in programs(ruleset) if p.required}


def test_without_root_no_module_is_loaded_that_would_touch_the_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    release = tmp_path / "lib" / "modules" / os.uname().release
    release.mkdir(parents=True)
    (release / "modules.dep").write_text(
        "kernel/drivers/net/bonding/bonding.ko.xz: kernel/tls.ko\n"
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(features, "Path", lambda *parts: Path(str(tmp_path) + parts[0], *parts[1:]))
    assert set(features._load_quiet_modules()) == {"bond"}
    assert "sudo modprobe bonding max_bonds=0" in features._load_quiet_modules()["bond"]


def test_what_is_withheld_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(isolation, "leave_host", lambda: None)
    monkeypatch.setattr(isolation, "try_to_settle", lambda: None)
    monkeypatch.setattr(trials, "_Trial", Mock)
    probe = trials.Probe("bond", "", "", "", lambda _: tried.append("bond"))
    monkeypatch.setattr(trials, "PROBES", (probe, replace(probe, name="other")))
    expected = {"namespaces": "", "bond": "first load it", "other": ""}
    assert trials.try_all({"bond": "first load it"}) == expected
    assert tried == ["bond"]
