"""BFD on the VIFs: a failure that leaves every link up is noticed within a second."""

from __future__ import annotations

import pytest

from testbed.testing import Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("bfd.yaml")]

SILENCE = """
table inet silence {
  chain in { type filter hook prerouting priority raw; iifname "bond0.*" drop; }
}
"""


def bfd_states(testbed: Testbed, device: int) -> dict[str, str]:
    """The BFD sessions of an OND: state by interface."""
    node = f"op.ond{device}"
    command = ["birdc", "-s", f"/run/node/{node}/bird.ctl", "show", "bfd", "sessions"]
    rows = [line.split() for line in testbed[node].run(command).text.splitlines()]
    return {row[1]: row[2] for row in rows if len(row) > 4 and row[1].startswith("bond0.")}


@pytest.mark.parametrize("device", [1, 2])
def test_sessions_are_up_with_both_daemons(testbed: Testbed, device: int) -> None:
    wanted = {f"bond0.{1000 + device}": "Up", f"bond0.{2000 + device}": "Up"}
    testbed.eventually(lambda: bfd_states(testbed, device) == wanted, 20)


@pytest.mark.parametrize("device", [1, 2])
def test_silent_failure_is_noticed(testbed: Testbed, device: int) -> None:
    """The OND hears nothing on its LAG any more, but no carrier is lost."""
    node = testbed[f"op.ond{device}"]

    def sessions() -> set[str]:
        rows = testbed.status()["bgp"]
        ours = [row for row in rows if row["node"] == f"cnd{device}" and "OND" in row["title"]]
        return {row["state"] for row in ours}

    assert sessions() == {"Established"}
    node.run(["nft", "-f", "-"], input=SILENCE.encode())
    try:
        testbed.eventually(lambda: "Established" not in sessions(), 20)
        assert testbed.eventually(lambda: testbed["desk"].ping("web", count=1).received == 1, 20)
    finally:
        node.run(["nft", "delete", "table", "inet", "silence"])
    testbed.eventually(lambda: testbed.status()["ok"], 90, interval=0.5)
