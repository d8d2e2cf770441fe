"""The feature probes, held against what iproute2 and nft can do on the same kernel."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbed.kernel.features import Feature, probe

pytestmark = [
    pytest.mark.packets,
    pytest.mark.skipif(os.geteuid() != 0, reason="iproute2 needs root to make what is compared"),
]

BY_HAND = {
    "veth": "ip link add one type veth peer name two",
    "bond": "ip link add one type bond mode 802.3ad lacp_rate fast",
    "vlan": "ip link add one type veth peer name two; ip link add link one name v type vlan id 100",
    "vrf": "ip link add one type vrf table 1001",
    "bridge": "ip link add one type bridge",
    "dummy": "ip link add one type dummy",
    "wireguard": "ip link add one type wireguard; ip link set one up",
    "vxlan": "ip link add one type vxlan id 7 local 192.0.2.1 remote 192.0.2.2 dstport 4789",
    "macvlan": "ip link add one type veth peer name two; "
    "ip link add link one name m type macvlan mode passthru",
    "netem": "ip link add one type veth peer name two; tc qdisc add dev one root netem delay 1ms",
    "prio": "ip link add one type veth peer name two; tc qdisc add dev one root prio bands 2 "
    "priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
    "tbf": "ip link add one type veth peer name two; "
    "tc qdisc add dev one root tbf rate 8mbit burst 100k latency 50ms",
    "policy-routing": "ip rule add priority 1000 table 1003",
    "multipath": "ip link add one type veth peer name two; ip link set one up; ip link set two up; "
    "ip route add 192.0.2.9/32 nexthop dev one nexthop dev two",
    "nftables": "nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }'",
    "conntrack": "nft 'add table inet t; add chain inet t c; "
    "add rule inet t c ct state established accept'",
    "conntrack-mark": "nft 'add table inet t; add chain inet t c; add rule inet t c ct mark set 1'",
    "nat": "nft 'add table inet t; "
    "add chain inet t c { type nat hook postrouting priority 100; }; "
    "add rule inet t c snat ip to 192.0.2.1'",
    "masquerade": "nft 'add table inet t; "
    "add chain inet t c { type nat hook postrouting priority 100; }; "
    "add rule inet t c masquerade'",
    "fib": "nft 'add table inet t; add chain inet t c { type filter hook prerouting priority 0; }; "
    "add rule inet t c fib saddr . iif oif missing drop'",
    "reset-connections": "ip link set lo up; "
    'exec python3 -c "import socket, subprocess; '
    "server = socket.create_server(('127.0.0.1', 0)); port = server.getsockname()[1]; "
    "client = socket.create_connection(('127.0.0.1', port)); "
    "subprocess.run(['ss', '--kill', '--tcp', f'dport = :{port}'], check=True); "
    "client.setblocking(False); "
    "client.recv(1)\" 2>&1 | grep -E 'Connection(Aborted|Reset)Error'",
    "reject": "nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }; "
    "add rule inet t c reject'",
}


@pytest.fixture(scope="module")
def found() -> dict[str, Feature]:
    return {feature.name: feature for feature in probe()}


@pytest.mark.parametrize("name", BY_HAND)
def test_the_probe_agrees_with_the_tools(name: str, found: dict[str, Feature]) -> None:
    script = f"set -e; {BY_HAND[name]}"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    feature = found[name]
    assert feature.ok == (done.returncode == 0), f"{feature.error!r}, tools: {done.stderr!r}"
    assert feature.ok != bool(feature.error)
    if not feature.ok:  # the kernel refused it, and not the tool its own arguments
        assert re.search(r"RTNETLINK|Unknown device|kind is unknown|Could not process", done.stderr)


def test_every_probe_is_compared(found: dict[str, Feature]) -> None:
    assert set(found) == {"namespaces", *BY_HAND}
    assert found["namespaces"].ok


def _host_state() -> list[str]:
    commands = (
        ["ip", "-details", "link"],
        ["ip", "rule"],
        ["ip", "route"],
        ["nft", "list", "ruleset"],
    )
    return [subprocess.run(c, capture_output=True, text=True, check=True).stdout for c in commands]


def test_the_hosts_own_namespace_is_untouched() -> None:
    namespace = Path("/proc/self/ns/net").readlink()
    before = _host_state()
    probe()
    assert _host_state() == before
    assert Path("/proc/self/ns/net").readlink() == namespace


def test_without_root_the_kernels_features_are_found_all_the_same(
    found: dict[str, Feature],
) -> None:
    script = "import testbed.kernel.features as f; print(*(x.name for x in f.probe() if x.ok))"
    nobody = subprocess.run(
        [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            sys.executable,
            "-c",
            script,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    if not nobody.stdout.strip():
        pytest.skip("no user namespaces here")
    with_root = {feature.name for feature in found.values() if feature.ok}
    assert set(nobody.stdout.split()) == with_root


def _children() -> set[int]:
    """The processes that this one has started and not collected yet."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(status.read_text().rsplit(")", 1)[1].split()[1]) == os.getpid():
                found.add(int(status.parent.name))
    return found


def test_a_child_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("testbed.kernel.features.DEADLINE_S", 0.05)
    monkeypatch.setattr("testbed.kernel.features.try_all", lambda _: time.sleep(60))
    before = _children()
    features = probe()
    assert not any(feature.ok for feature in features)
    assert "no answer" in features[0].error
    assert _children() <= before
