"""A service link over a Direct Connect public virtual interface; one device runs FRR."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.testing import Testbed

TOPOLOGY = Path(__file__).with_name("public_vif.yaml")
pytestmark = [pytest.mark.packets, pytest.mark.topology(str(TOPOLOGY))]


def test_tunnels_take_the_public_virtual_interface(testbed: Testbed) -> None:
    with testbed["cnd1"].capture("dx-dx1.300", "udp port 443") as seen:
        assert testbed["web"].ping(testbed["db"], count=4).received == 4
    assert seen.packets
    endpoints = {row["endpoint"] for row in testbed.status()["tunnels"]}
    assert endpoints == {"198.51.100.11:443", "198.51.100.12:443"}


def test_frr_speaks_bgp_over_a_private_virtual_interface(testbed: Testbed) -> None:
    rows = [row for row in testbed.status()["bgp"] if "dx2" in row["title"]]
    assert len(rows) == 2
    assert all(row["ok"] for row in rows)
    assert testbed["desk"].ping(testbed["db"], count=1).received == 1
