"""What AWS advises against: each rule warns where it should, and a site by the book is quiet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from testbed.cli import cli
from testbed.topology import loads
from testbed.topology.rules.strict import RULES, warned

BY_THE_BOOK = """
testbed: 1
name: t
region: {name: us-west-2}
vpcs: {app: {cidr: 10.77.0.0/16, subnets: {rack: {cidr: 10.77.7.0/24, outpost: op}}}}
outposts: {op: {uplinks: {per_device: 2, bfd: true}}}
site:
  devices: {cnd1: {}, cnd2: {}}
  segments: {office: {cidr: 192.168.10.0/24, devices: [cnd1, cnd2]}}
"""
WRONG = {
    "round-trip": ("site:", "site:\n  region_link: {delay: 88ms}"),
    "bandwidth": ("site:", "site:\n  region_link: {rate: 400M}"),
    "mtu": ("site:", "site:\n  region_link: {mtu: 1400}"),
    "one-device": ("uplinks:", "devices: [cnd1, cnd1], uplinks:"),
    "one-link": ("per_device: 2", "per_device: 1"),
    "no-link": ("site:", "site:\n  links: []"),
    "single-path": ("site:", "site:\n  region_link: {devices: [cnd1]}"),
    "single-router": ("devices: [cnd1, cnd2]}", "devices: [cnd1]}"),
    "no-bfd": (", bfd: true", ""),
}


def test_a_site_by_the_book_is_quiet() -> None:
    assert not warned(loads(BY_THE_BOOK))


@pytest.mark.parametrize("rule", WRONG)
def test_each_departure_is_told(rule: str) -> None:
    text = BY_THE_BOOK.replace(*WRONG[rule], 1)
    found = warned(loads(text))
    assert [entry.rule for entry in found].count(rule) >= 1
    assert {entry.rule for entry in found} <= {rule, "single-path"}  # one device is one path, too
    assert all(entry.remedy and entry.source for entry in found)


def test_two_firewalls_are_two_paths_and_one_is_one() -> None:
    def paths(walls: str) -> list[str]:
        text = BY_THE_BOOK.replace("site:", f"site:\n  firewalls: {walls}", 1)
        return [entry.object for entry in warned(loads(text)) if entry.rule == "single-path"]

    assert not paths("{a: {devices: [cnd1]}, b: {devices: [cnd2]}}")
    assert paths("{a: {devices: [cnd1, cnd2]}}") == ["site.firewalls.a"]


def test_every_rule_has_a_case() -> None:
    assert len(RULES) == len(WRONG) + 1  # same-asn is test_advice's


def test_the_command_exits_with_1(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(BY_THE_BOOK)
    bad.write_text(BY_THE_BOOK.replace(*WRONG["mtu"], 1))
    run = CliRunner().invoke
    assert run(cli, ["validate", "--strict", str(good)]).exit_code == 0
    assert run(cli, ["validate", str(bad)]).exit_code == 0
    told = run(cli, ["validate", "--strict", str(bad)])
    assert told.exit_code == 1
    assert "carries 1400 bytes" in told.stderr
    data = json.loads(run(cli, ["validate", "--strict", "--json", str(bad)]).stdout)
    assert data["ok"]
    assert {entry["rule"] for entry in data["files"][0]["strict"]} == {"mtu"}
