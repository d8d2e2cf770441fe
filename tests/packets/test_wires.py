"""Host interfaces as ends of cables: an installation in two testbeds, wired to each other.

One testbed has the rack and the Region, the other the customer's site. What
connects them are interfaces of the host, which stand for a patch panel: a
network namespace of the test's own, with a veth pair for each cable.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.utils import rdpcap

from testbed.errors import HostError
from testbed.guest.kinds import KINDS
from testbed.lifecycle import start
from testbed.lifecycle.bringup import bring_up
from testbed.lifecycle.installation import load_topology, lower_topology
from testbed.plan.model import HostInterface, Interface, Node, Plan, Veth
from testbed.plan.roles import Role
from testbed.testing import Testbed, eventually

ROOT = Path(__file__).parents[2]
CLONE_NEWNET = 0x40000000
LACP = "01:80:c2:00:00:02"

pytestmark = [pytest.mark.packets, pytest.mark.timeout(600)]
libc = ctypes.CDLL(None, use_errno=True)


def usable(kind: str) -> str:
    if problems := KINDS[kind]().problems():
        pytest.skip("; ".join(problems))
    return kind


@contextlib.contextmanager
def host() -> Iterator[None]:
    """A host's network of the test's own, with what is started in it."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET):
        pytest.skip("needs root")
    try:
        yield
    finally:
        assert libc.setns(home, CLONE_NEWNET) == 0
        os.close(home)


def ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
    return done.stdout


def split(plan: Plan, names: set[str]) -> tuple[Plan, Plan, list[tuple[str, str]]]:
    """The plan as two, cables between them ending at host interfaces; the pairs of these."""
    pairs: dict[frozenset[tuple[str, str]], tuple[str, str]] = {}

    def end(node: Node, interface: Interface) -> Interface:
        device = interface.device
        if not isinstance(device, Veth) or (node.name in names) == (device.peer_node in names):
            return interface
        here, there = (node.name, interface.name), (device.peer_node, device.peer)
        pair = pairs.setdefault(frozenset((here, there)), (f"a{len(pairs)}", f"b{len(pairs)}"))
        return replace(interface, mac=None, device=HostInterface(pair[node.name in names]))

    nodes = [replace(n, interfaces=tuple(end(n, i) for i in n.interfaces)) for n in plan.nodes]
    parts = [
        Plan(
            f"{plan.name}-{number}",
            tuple(node for node in nodes if (node.name in names) == bool(number)),
            tuple(check for check in plan.checks if (check.node in names) == bool(number)),
        )
        for number in (0, 1)
    ]
    return parts[0], parts[1], list(pairs.values())


@pytest.fixture(scope="module", params=[("uml", "uml"), ("qemu", "uml")], ids="-".join)
def halves(request: pytest.FixtureRequest) -> Iterator[tuple[Testbed, Testbed]]:
    """The rack and the site, wired together."""
    kinds = [usable(kind) for kind in request.param]
    topology = load_topology(ROOT / "topologies" / "rack.yaml", {}, "wired")
    plan = lower_topology(topology)
    site = {node.name for node in plan.nodes if node.group == "site"}
    rack, customer, pairs = split(plan, site)
    with host():
        for a, b in pairs:
            ip("link", "add", a, "type", "veth", "peer", "name", b)
        with Testbed(rack.name) as first, Testbed(customer.name) as second:
            bring_up(rack, vm=kinds[0], wait=False)
            bring_up(customer, vm=kinds[1], wait=False)
            first.apply(rack, timeout_s=120)
            second.apply(customer, timeout_s=120)
            yield first, second


def test_lacp_vlans_and_bgp_come_up_through_them(halves: tuple[Testbed, Testbed]) -> None:
    for half in halves:
        status = half.status()
        assert status["ok"], half.problems()
        assert status["lags"]
        assert {row["state"] for row in status["bgp"]} == {"Established"}


def test_packets_pass(halves: tuple[Testbed, Testbed]) -> None:
    """Large ones, too, from the customer's LAN to an instance and back, with one VLAN tag."""
    _, customer = halves
    assert customer["desk"].ping("10.1.3.112", count=3).received == 3
    assert customer["desk"].ping("10.1.3.112", count=3, size=1472, df=True).received == 3
    assert "client 192.168.10.10" in customer["desk"].http("http://10.1.3.112/").text


@contextlib.contextmanager
def wiretap(interface: str, path: Path) -> Iterator[None]:
    """Record what passes a host interface."""
    command = ["tcpdump", "-i", interface, "-n", "-U", "--immediate-mode", "-Z", "root"]
    process = subprocess.Popen([*command, "-w", path], stderr=subprocess.PIPE)
    assert process.stderr is not None
    while b"listening on" not in process.stderr.readline():
        assert process.poll() is None
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def test_frames_are_untouched_on_the_wire(halves: tuple[Testbed, Testbed], tmp_path: Path) -> None:
    """LACP both ways, VLAN tags, whole checksums, no frame longer than the wire allows."""
    rack, customer = halves
    uplinks = [
        interface.device.interface
        for node in ("op.ond1", "op.ond2")
        for interface in rack.plan.node(node).interfaces
        if isinstance(interface.device, HostInterface)
    ]
    paths = [tmp_path / f"{name}.pcap" for name in uplinks]
    with contextlib.ExitStack() as stack:
        for name, path in zip(uplinks, paths, strict=True):
            stack.enter_context(wiretap(name, path))
        for _ in range(5):
            customer["desk"].run(["curl", "-s", "-o", "/dev/null", "http://10.1.3.112/"])

        def speakers() -> bool:
            found = [frame for frame in rdpcap(str(paths[0])) if frame[Ether].dst == LACP]
            return len({frame.src for frame in found}) == 2

        assert eventually(speakers, 10)
    frames = [frame for path in paths for frame in rdpcap(str(path))]
    tagged = [frame for frame in frames if Dot1Q in frame]
    assert tagged
    assert all(len(frame) <= 1518 for frame in frames)
    segments = [frame for frame in frames if TCP in frame and frame[IP].frag == 0]
    assert segments
    for frame in segments:
        again = IP(bytes(frame[IP]))
        found = again[TCP].chksum
        del again[TCP].chksum
        assert IP(bytes(again))[TCP].chksum == found, frame.summary()


def test_nothing_of_the_testbeds_own_is_on_the_host(halves: tuple[Testbed, Testbed]) -> None:
    """The interfaces are where they were; no other is there."""
    for line in ip("-o", "link").splitlines():
        name = line.split(":")[1].strip().partition("@")[0]
        assert name == "lo" or name[0] in "ab"


ONE = Plan(
    "one",
    (
        Node(
            "node",
            role=Role.HOST,
            group="host",
            interfaces=(
                Interface("eth0", HostInterface("port"), addresses=("192.0.2.1/24",), mtu=1500),
            ),
        ),
    ),
)


def reaches(testbed: Testbed) -> None:
    """The node reaches the far end."""
    node = testbed["node"]
    eventually(lambda: node.ping("192.0.2.2", count=1).received == 1)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_it_gives_the_interface_back(kind: str) -> None:
    """The next testbed has it at once."""
    usable(kind)
    with host():
        ip("link", "add", "port", "type", "veth", "peer", "name", "far")
        ip("link", "set", "far", "up")
        ip("address", "add", "192.0.2.2/24", "dev", "far")
        for _ in range(2):
            testbed = Testbed.up(ONE, vm=kind)
            try:
                reaches(testbed)
            finally:
                start.kill(testbed.name)
        assert "port" in ip("-o", "link")
        with Testbed.up(ONE, vm=kind) as testbed:
            reaches(testbed)


def test_a_tap_of_the_users_is_taken_as_it_is() -> None:
    usable("uml")
    with host():
        ip("tuntap", "add", "port", "mode", "tap", "user", "nobody")
        ip("link", "set", "port", "up")
        ip("address", "add", "192.0.2.2/24", "dev", "port")
        with pytest.raises(HostError, match=r"192\.0\.2\.2"):
            Testbed.up(ONE, vm="uml")
        with Testbed.up(ONE, vm="uml", take=["port"]) as testbed:
            reaches(testbed)


@pytest.mark.parametrize(
    ("commands", "reason"),
    [
        ([], "does not exist"),
        (["link add port type veth peer name far", "address add 192.0.2.9/24 dev port"], "address"),
        (
            [
                "link add port type veth peer name far",
                "link set port up",
                "link set far up",
                "route add default dev port",
            ],
            "default route",
        ),
    ],
    ids=["absent", "address", "route"],
)
def test_what_the_host_uses_is_refused(commands: list[str], reason: str) -> None:
    with host():
        for command in commands:
            ip(*command.split())
        with pytest.raises(HostError, match=reason):
            Testbed.up(ONE, vm="uml")
