"""A testbed in each kind of micro VM: the other tests use only the one that is chosen for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.testing import Testbed

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.packets, pytest.mark.smoke]


@pytest.fixture(scope="module")
def rack(guest_kind: str) -> Iterator[Testbed]:
    file = ROOT / "topologies" / "rack.yaml"
    with Testbed.up(file, name=f"smoke-{guest_kind}", vm=guest_kind) as testbed:
        yield testbed


def test_it_runs_there_and_everything_is_up(rack: Testbed, guest_kind: str) -> None:
    assert rack.client.hello()["guest"] == guest_kind
    assert rack.status()["ok"]


def test_packets_pass(rack: Testbed) -> None:
    """Through the service link's tunnels, and through the local gateway."""
    assert rack["web"].ping("10.1.1.20", count=2).received == 2
    assert rack["desk"].ping("10.1.3.112", count=2).received == 2
