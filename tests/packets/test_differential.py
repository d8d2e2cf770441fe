"""Random VPCs: what an independent model of AWS's rules says, real packets do.

TESTBED_EXAMPLES sets how many topologies are tried, TESTBED_SEED another
series of them. A topology with a disagreement is kept, its file named.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator

import pytest
import yaml
from effort import times
from hypothesis import HealthCheck, Phase, given, seed, settings

from testbed.lifecycle.live import running_topology
from testbed.predict import World
from testbed.probes.reach import ANSWERED, Request, measure, predict, requests
from testbed.pytest_plugin.options import time_for
from testbed.testing import Testbed

from .random_vpcs import Data, topologies

pytestmark = pytest.mark.packets

EXAMPLES = int(os.environ.get("TESTBED_EXAMPLES", times(6, 60)))
SEED = int(os.environ.get("TESTBED_SEED", "1"))
ANSWER_S = 0.4
SETTLE_S = 20.0  # withdrawn routes and first packets take a while


def disagreements(testbed: Testbed, expected: dict[Request, bool]) -> list[Request]:
    """The requests for which packets do otherwise, also after the network has settled."""
    left = list(expected)

    def none_is_left() -> bool:
        seen = measure(testbed.client, left, ANSWER_S)
        left[:] = [request for request in left if (seen[request] == ANSWERED) != expected[request]]
        return not left

    with contextlib.suppress(AssertionError):
        testbed.eventually(none_is_left, SETTLE_S)
    return left


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Testbed]]:
    """Holds the testbed, which the first example brings up and the others change."""
    held: list[Testbed] = []
    yield held
    for testbed in held:
        testbed.down()


COUNTED: Counter[bool | None] = Counter()


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
    running: list[Testbed],
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
    data: Data,
) -> None:
    vm = pytestconfig.getoption("testbed_vm")
    file = tmp_path_factory.mktemp("differential") / "topology.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    if running:
        running[0].apply(file)
    else:
        name = f"differential-{os.getpid()}"
        running.append(Testbed.up(file, name=name, vm=vm, time=time_for(vm), hold=True))
    world = World(running_topology(running[0].client))
    endpoints = world.endpoints()
    verdicts = predict(world, requests(endpoints, endpoints, tcp=[80], udp=[7], icmp=True))
    COUNTED.update(answered for answered, *_ in verdicts.values())
    expected = {
        request: answered for request, (answered, *_) in verdicts.items() if answered is not None
    }
    wrong = disagreements(running[0], expected)
    lines = [f"{entry}: predicted {verdicts[entry]}" for entry in wrong]
    assert not wrong, "\n".join([f"{file}:", *lines])


@pytest.mark.last
def test_there_was_enough_to_see() -> None:
    """Both answers occurred, and often; what the rules don't say is rare."""
    assert COUNTED[True] > 10 * EXAMPLES
    assert COUNTED[False] > 10 * EXAMPLES
    assert COUNTED[None] < COUNTED[True]
