"""`testbed trace` says what captures of all interfaces and sockets at both ends show.

Random packets between random ends, on shipped and generated sites, healthy and with faults, in
virtual time. TESTBED_THOROUGH=1 sends thousands; TESTBED_SEED chooses another series.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from effort import THOROUGH, sites
from witnesses.rounds import Tally, compare

from testbed.chaos.candidates import candidates
from testbed.lifecycle.installation import load_topology
from testbed.predict import Endpoint, World
from testbed.testing import Testbed

pytestmark = [pytest.mark.packets, pytest.mark.timeout(6 * 3600 if THOROUGH else 900)]

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("TESTBED_SEED", "1"))
SITES = sites(30)  # generated ones
FAULTS, PACKETS = 5, 20  # of each site, and of each state of it
SETTLE_S = 12.0  # for what notices a fault: BFD, LACP, BGP's hold time is longer
AT_LEAST = 0.99  # of all packets; of a few, all
SHIPPED = sorted(
    file
    for file in (ROOT / "topologies").glob("*.yaml")
    if file.stem not in {"real-switch", "rack"}  # host interfaces; two-racks has the same
)


@pytest.mark.topology("tests/packets/firewall.yaml")
def test_through_a_firewall(testbed: Testbed) -> None:
    """Encrypted and translated on the way; then with a small MTU behind the firewall."""
    chance, ends = random.Random(SEED), ends_of(ROOT / "tests/packets/firewall.yaml")
    tally = compare(testbed, ends, chance, 12, "healthy")
    with testbed.fault("mtu", "fw1:region", mtu=1380, ends="both"):
        tally.add(compare(testbed, ends, chance, 12, "mtu"))
    assert not tally.wrong, "\n".join(tally.wrong)
    assert tally.packets == 24
    assert tally.ends["answered"]
    lies = [seen for seen in tally.seen if seen.trace.ok and len(seen.trace.hops) > 2]
    for seen in lies[:5]:
        whole = seen.trace.request
        for lie in (
            replace(whole, delivered=False, dropped_at=whole.hops[1].node, reason="a lie"),
            replace(whole, hops=whole.hops[:-1]),
            replace(whole, hops=(*whole.hops[:1], *whole.hops[2:])),
        ):
            assert seen.differences(replace(seen.trace, request=lie))


@pytest.mark.topology("tests/packets/ipv6.yaml")
def test_ipv4_and_ipv6(testbed: Testbed) -> None:
    chance, ends = random.Random(SEED), ends_of(ROOT / "tests/packets/ipv6.yaml")
    tally = compare(testbed, ends, chance, 15, "healthy")
    assert not tally.wrong, "\n".join(tally.wrong)
    assert tally.packets == 15
    assert any(kind.startswith("IPv6") for kind in tally.kinds)


@pytest.mark.skipif(not THOROUGH, reason="TESTBED_THOROUGH=1 sends thousands of packets")
def test_thousands_of_packets(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """On every site healthy, and with random faults one after the other."""
    total, sites = Tally(), 0
    for name, file in sites_of(tmp_path):
        tally = one_site(name, file)
        sites += 1
        total.add(tally)
        total.seen.clear()
        print(f"{name}: {tally}", flush=True)
        for line in tally.wrong:
            print(line)
    print(f"{sites} sites: {total}")
    record_property("sites", sites)
    record_property("packets", total.packets)
    record_property("as_captured", total.packets - len(total.wrong))
    assert total.packets > SITES * PACKETS
    assert len(total.wrong) <= (1 - AT_LEAST) * total.packets, "\n".join(total.wrong)


def sites_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names and topology files."""
    yield from ((file.stem, file) for file in SHIPPED)
    sites = pytest.importorskip("sites.healthy")
    for seed in range(SEED, SEED + SITES):
        own = folder / str(seed)
        own.mkdir()
        yield f"healthy-{seed}", sites.write(seed, own)


def ends_of(file: Path) -> list[Endpoint]:
    """What can send and answer there."""
    return World(load_topology(file, {})).endpoints()


def one_site(name: str, file: Path) -> Tally:
    """Bring a site up, and compare packets on it."""
    topology = load_topology(file, {})
    chance, ends = random.Random(f"{SEED}/{name}"), World(topology).endpoints()
    with Testbed.up(file, name="truth", time="virtual", seed=SEED, hold=True) as testbed:
        tally = compare(testbed, ends, chance, PACKETS, name)
        possible = candidates(testbed.plan, topology)
        for fault in chance.sample(possible, min(FAULTS, len(possible))):
            with testbed.fault(fault.kind, fault.target, **dict(fault.values)):
                if chance.random() < 0.6:
                    testbed.advance(SETTLE_S)
                tally.add(compare(testbed, ends, chance, PACKETS, f"{name}, {fault}"))
            testbed.settle(120)
    return tally
