"""The generator of healthy sites: legal, the same for a seed, and different enough."""

from __future__ import annotations

from pathlib import Path

from sites import healthy

from testbed.conformance.one_way import asked_of
from testbed.lifecycle.installation import load_topology, lower_topology

SEEDS = range(40)


def test_every_site_is_legal(tmp_path: Path) -> None:
    for seed in SEEDS:
        folder = tmp_path / str(seed)
        folder.mkdir()
        plan = lower_topology(load_topology(healthy.write(seed, folder), {}))
        assert plan.nodes, seed


def test_the_rules_answer_whoever_they_let_in(tmp_path: Path) -> None:
    for seed in SEEDS:
        folder = tmp_path / str(seed)
        folder.mkdir()
        topology = load_topology(healthy.write(seed, folder), {})
        asked = [asked_of(topology, instance) for instance in topology.instances]
        lost = {str(request): why for requests in asked for request, why in requests.items() if why}
        assert not lost, seed


def test_a_seed_gives_one_site() -> None:
    assert all(healthy.site(seed) == healthy.site(seed) for seed in SEEDS)
    assert healthy.site(1) != healthy.site(2)


def test_the_sites_have_what_sites_have() -> None:
    sites = [healthy.site(seed) for seed in range(200)]
    walls = [wall for site in sites for wall in site["site"].get("firewalls", {}).values()]
    vifs = [
        key
        for site in sites
        for dx in site["site"].get("direct_connect", {}).values()
        for key in dx
    ]
    devices = [device for site in sites for device in site["site"]["devices"].values()]
    assert {len(site["site"]["devices"]) for site in sites} == {1, 2, 3, 4}
    assert {len(site["outposts"]) for site in sites} == {1, 2, 3}
    assert {device["daemon"] for device in devices} == {"bird", "frr"}
    assert any("config" in device for device in devices)
    assert {wall.get("filter") for wall in walls} == {"stateful", "stateless", None}
    assert any(wall.get("nat") for wall in walls)
    assert any("ruleset" in wall for wall in walls)
    assert {"public_vif", "private_vif", "transit_vif"} <= set(vifs)
