"""A testbed in QEMU, which the other tests use only where no user-mode kernel is built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.guest.qemu import QemuGuest
from testbed.testing import Testbed

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.packets,
    pytest.mark.skipif(bool(QemuGuest().problems()), reason="; ".join(QemuGuest().problems())),
]


@pytest.fixture(scope="module")
def rack() -> Iterator[Testbed]:
    with Testbed.up(ROOT / "topologies" / "rack.yaml", name="in-qemu", vm="qemu") as testbed:
        yield testbed


def test_it_runs_in_qemu_and_everything_is_up(rack: Testbed) -> None:
    assert rack.client.hello()["guest"] == "qemu"
    assert rack.status()["ok"]


def test_packets_pass(rack: Testbed) -> None:
    """Through the service link's tunnels, and through the local gateway."""
    assert rack["web"].ping("10.1.1.20", count=2).received == 2
    assert rack["desk"].ping("10.1.3.112", count=2).received == 2
