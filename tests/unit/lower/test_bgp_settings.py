"""A customer's BGP settings: which of them hold for a session, and that daemons take them."""

from __future__ import annotations

import shutil
import subprocess
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from testbed.lower import lower
from testbed.lower.site.tuning import lets
from testbed.plan.bgp import Bfd, Policy, PrefixRange, Session, Term
from testbed.plan.files import files_of
from testbed.plan.model import Plan
from testbed.topology import loads

FILE = """
testbed: 1
name: t
region: {{name: us-west-2}}
vpcs: {{app: {{cidr: 10.77.0.0/16, subnets: {{rack: {{cidr: 10.77.7.0/24, outpost: op}}}}}}}}
outposts: {{op: {{devices: [left, right], uplinks: {{bfd: true}}}}}}
site:
  devices: {{left: {{daemon: {daemon}, bgp: {bgp}}}, right: {{bgp: {other}}}}}
  links: [{{devices: [left, right]}}]
  wan: {{}}
  segments: {{office: {{cidr: 192.168.10.0/24, devices: [left]}}}}
"""
EVERYTHING: dict[str, Any] = {
    "hold_time": 30,
    "keepalive_time": 5,
    "bfd": {"interval": 100, "multiplier": 5},
    "graceful_restart": "restart",
    "password": "key",
    "ttl_security": True,
    "max_prefixes": 100,
    "allowas_in": 1,
    "as_override": True,
    "remove_private_as": True,
    "default_originate": True,
    "inbound": [
        {"communities": ["65000:1", "no-export"], "local_preference": 50, "med": 1},
        {"prefixes": ["10.0.0.0/8 le 24"], "action": "deny"},
        {},
    ],
    "outbound": [
        {"prefixes": ["10.0.0.0/8 ge 16 le 24", "10.1.0.0/16 ge 16"], "prepend": 2},
        {"add_communities": ["65000:2"]},
    ],
}


def plan(bgp: Any = "{}", other: Any = "{}", daemon: str = "bird") -> Plan:
    return lower(loads(FILE.format(daemon=daemon, bgp=bgp, other=other)))


def sessions(made: Plan, node: str) -> dict[str, Session]:
    router = made.node(node).router
    assert router
    return {s.name: s for i in router.instances for s in i.sessions}


def test_a_sessions_own_keys_go_before_those_of_its_neighbour_and_the_devices() -> None:
    made = plan(
        "{hold_time: 30, sessions: {op.ond1: {hold_time: 20, max_prefixes: 9},"
        " op.ond1/local-gateway: {hold_time: 10}}}"
    )
    found = {name: (s.hold_s, s.keepalive_s, s.limit) for name, s in sessions(made, "left").items()}
    assert found == {
        "op-service-link": (20, 6, 9),
        "op-local-gateway": (10, 3, 9),
        "sl-right": (30, 10, None),
        "lgw-right": (30, 10, None),
        "region": (30, 10, None),
        "wan": (30, 10, None),
    }


def test_the_other_end_takes_over_what_both_have_to_agree_on() -> None:
    keys = "{password: key, ttl_security: true, bfd: {interval: 50}, hold_time: 9}"
    made = plan(f"{{sessions: {{wan: {keys}, region: {keys}}}}}")
    for node, name in (("site.wan", "customer-left"), ("region.edge", "customer-left")):
        far = sessions(made, node)[name]
        assert (far.password, far.ttl_security, far.bfd) == ("key", True, Bfd(50, 3))
        assert far.hold_s == 90
    assert not sessions(made, "site.wan")["customer-right"].password


def test_rules_without_prefixes_are_about_what_is_announced_anyway() -> None:
    made = plan("{outbound: [{prepend: 1}]}")
    found = sessions(made, "left")
    region = PrefixRange("198.51.100.0/24")
    assert found["op-service-link"].exports == (Term((region,), prepend=1),)
    assert found["op-local-gateway"].exports == (Term(prepend=1),)
    assert found["wan"].imports is None


def test_ready_does_not_wait_for_what_rules_keep_back() -> None:
    def awaited(bgp: str) -> set[str]:
        titles = (getattr(check, "title", "") for check in plan(bgp).checks)
        return {title for title in titles if "local gateway: LAN" in title}

    assert awaited("{}") == {"op local gateway: LAN 192.168.10.0/24"}
    assert awaited("{outbound: [{prefixes: [10.0.0.0/8]}]}") == set()
    assert awaited("{outbound: [{prefixes: [192.168.0.0/16 le 24], med: 1}]}") == awaited("{}")


@pytest.mark.parametrize(
    ("policy", "network", "expected"),
    [
        (None, "10.0.0.0/8", True),
        ((), "10.0.0.0/8", False),
        ((Term((PrefixRange("10.0.0.0/8"),)),), "10.0.0.0/8", True),
        ((Term((PrefixRange("10.0.0.0/8"),)),), "10.0.0.0/9", False),
        ((Term((PrefixRange("10.0.0.0/8", 16, 24),)),), "10.1.0.0/16", True),
        ((Term((PrefixRange("10.0.0.0/8", 16, 24),)),), "10.1.0.0/25", False),
        (
            (Term((PrefixRange("10.0.0.0/8", longest=32),), action="reject"), Term()),
            "10.0.0.1/32",
            False,
        ),
        ((Term(communities=("1:1",), action="reject"), Term()), "10.0.0.0/8", True),
    ],
)
def test_what_a_policy_lets_pass(policy: Policy | None, network: str, *, expected: bool) -> None:
    assert lets(policy, IPv4Network(network)) is expected


@pytest.mark.parametrize("daemon", ["bird", "frr"])
def test_daemons_take_all_of_it(tmp_path: Path, daemon: str) -> None:
    """Their own parsers, where they are installed."""
    everything = {"sessions": {"wan": EVERYTHING, "region": EVERYTHING}, "restart_time": 60}
    text = files_of(plan(everything, daemon=daemon).node("left"))[
        "bird.conf" if daemon == "bird" else "bgpd.conf"
    ]
    path = tmp_path / "daemon.conf"
    path.write_text(text)
    program = shutil.which("bird" if daemon == "bird" else "bgpd", path="/usr/sbin:/usr/lib/frr")
    if program is None:
        pytest.skip(f"{daemon} is not installed")
    argv = [program, "-p", "-c", str(path)]
    if daemon == "frr":
        own = [
            "--vty_socket",
            str(tmp_path),
            "-i",
            str(tmp_path / "pid"),
            "-z",
            str(tmp_path / "z"),
        ]
        argv = [program, "-C", "-S", "-p", "0", "-P", "0", *own, "-f", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    # bgpd 8.4 warns of a per-neighbour graceful-restart, and takes it
    unknown = [line for line in said.splitlines() if "config line" in line]
    assert [line for line in unknown if "graceful-restart" not in line] == []
