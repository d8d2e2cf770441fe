"""A guest that tags its frames itself, and pods in it: ipvlan works, macvlan does not."""

from __future__ import annotations

import pytest

from testbed.testing import Testbed

pytestmark = [
    pytest.mark.packets,
    pytest.mark.topology("topologies/lni-vlan.yaml"),
    pytest.mark.testbed(time="virtual"),
]
PODS = """\
set -e
ip link add link eth2.59 name {name} type {kind} {mode}
ip netns add {name}
trap 'ip netns delete {name}' EXIT
ip link set {name} netns {name}
ip netns exec {name} ip address add 192.168.59.4{number}/24 dev {name}
ip netns exec {name} ip link set {name} up
ip netns exec {name} ping -c 2 -W 1 192.168.59.20
"""


def test_the_guest_is_untagged_in_one_segment_and_tagged_in_another(testbed: Testbed) -> None:
    states = testbed["node"].interfaces()
    assert states["eth2"].addresses == ("192.168.10.128/24",)
    assert states["eth2.59"].addresses == ("192.168.59.30/24",)
    with testbed["srv.lni"].capture("lan", "vlan 59 and icmp") as wire:
        assert testbed["node"].ping("plc").ok
    assert wire.packets
    assert testbed["desk"].ping("192.168.10.128").ok
    assert testbed["plc"].ping("192.168.59.30").ok


def test_untagged_frames_reach_nothing_of_the_vlan(testbed: Testbed) -> None:
    with testbed["plc"].capture("eth0", "arp and host 192.168.59.77") as wire:
        ping = ["ping", "-c", "1", "-W", "1", "-I", "eth2", "192.168.59.77"]
        testbed["node"].run(ping, check=False)
        assert testbed["node"].ping("plc").ok
    assert not wire.packets


@pytest.mark.parametrize(
    ("kind", "mode", "passes"), [("ipvlan", "mode l2", True), ("macvlan", "mode bridge", False)]
)
def test_pods_have_to_share_the_mac_address(
    testbed: Testbed, kind: str, mode: str, passes: bool
) -> None:
    script = PODS.format(name=f"{kind[:3]}0", kind=kind, mode=mode, number=1 + passes)
    done = testbed["node"].run(["sh", "-c", script], check=False)
    assert ("2 received" in done.text) == passes, (done.text, done.stderr)


def test_the_service_link_is_static(testbed: Testbed) -> None:
    assert testbed["srv.sl"].interfaces()["eth0"].addresses == ("192.168.51.10/24",)
    assert testbed.status()["ok"]
