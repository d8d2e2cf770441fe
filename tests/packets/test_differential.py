"""Random VPCs: what an independent model of AWS's rules says, real packets do.

TESTBED_EXAMPLES sets how many topologies are tried, TESTBED_SEED another
series of them. A topology with a disagreement is kept, its file named.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings

from testbed.testing import Testbed

from .aws_rules import Endpoint, Instance, World
from .random_vpcs import Data, topologies

pytestmark = pytest.mark.packets

EXAMPLES = int(os.environ.get("TESTBED_EXAMPLES", "8"))
SEED = int(os.environ.get("TESTBED_SEED", "1"))
SCRIPT = Path(__file__).with_name("probe_all.py").read_text()
REQUESTS = (("tcp", 80), ("udp", 7), ("icmp", 0))
ANSWER_S = 0.4
SETTLE_S = 20.0  # withdrawn routes and first packets take a while
AT_ONCE = 8


@dataclass(frozen=True)
class Probe:
    """A request from one endpoint to an address."""

    source: str
    destination: IPv4Address
    protocol: str
    port: int

    def __str__(self) -> str:
        return f"{self.source} to {self.destination}, {self.protocol} {self.port}"


def predictions(world: World) -> dict[Probe, bool]:
    """Of every pair, and each of the other's addresses, whether it is answered."""
    expected: dict[Probe, bool] = {}
    for source in world.endpoints():
        for other in world.endpoints():
            for address in _addresses(other):
                if address in _addresses(source):
                    continue
                for protocol, port in REQUESTS:
                    probe = Probe(source.name, address, protocol, port)
                    expected[probe] = world.answers(source, address, protocol, port)
    return expected


def _addresses(endpoint: Endpoint) -> list[IPv4Address]:
    owned = endpoint.customer_owned_ip if isinstance(endpoint, Instance) else None
    return [endpoint.address, *([owned] if owned else [])]


def measure(testbed: Testbed, probes: list[Probe], seconds: float) -> dict[Probe, bool]:
    """Send all of them, many at once."""
    by_source: dict[str, list[Probe]] = {}
    for probe in probes:
        by_source.setdefault(probe.source, []).append(probe)

    def run(source: str) -> dict[Probe, bool]:
        own = by_source[source]
        rows = [[str(probe.destination), probe.protocol, probe.port] for probe in own]
        task = json.dumps({"seconds": seconds, "probes": rows}).encode()
        got = json.loads(testbed[source].run(["python3", "-c", SCRIPT], input=task).text)
        return {probe: index in got for index, probe in enumerate(own)}

    seen: dict[Probe, bool] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for result in pool.map(run, by_source):
            seen |= result
    return seen


def disagreements(testbed: Testbed, expected: dict[Probe, bool]) -> list[Probe]:
    """The probes for which packets do otherwise, also after the network has settled."""
    deadline = time.monotonic() + SETTLE_S
    open_ones = list(expected)
    seconds = ANSWER_S
    while open_ones:
        seen = measure(testbed, open_ones, seconds)
        open_ones = [probe for probe in open_ones if seen[probe] != expected[probe]]
        seconds = 2 * ANSWER_S
        if time.monotonic() > deadline:
            break
    return open_ones


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Testbed]]:
    """Holds the testbed, which the first example brings up and the others change."""
    held: list[Testbed] = []
    yield held
    for testbed in held:
        testbed.down()


COUNTED: Counter[bool] = Counter()


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # an example takes seconds: none is tried again to be made smaller
    suppress_health_check=list(HealthCheck),
)
@given(data=topologies())
def test_packets_do_what_the_rules_say(
    running: list[Testbed], tmp_path_factory: pytest.TempPathFactory, data: Data
) -> None:
    file = tmp_path_factory.mktemp("differential") / "topology.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    if running:
        running[0].apply(file)
    else:
        running.append(Testbed.up(file, name=f"differential-{os.getpid()}"))
    expected = predictions(World(data))
    COUNTED.update(expected.values())
    wrong = disagreements(running[0], expected)
    lines = [f"{probe}: expected {'an' if expected[probe] else 'no'} answer" for probe in wrong]
    assert not wrong, "\n".join([f"{file}:", *lines])


def test_there_was_enough_to_see() -> None:
    """Both answers occurred, and often."""
    assert COUNTED[True] > 10 * EXAMPLES
    assert COUNTED[False] > 10 * EXAMPLES
