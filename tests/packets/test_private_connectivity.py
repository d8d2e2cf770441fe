"""Direct Connect: the service link over private virtual interfaces, and a VPC with propagation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import Dot1Q

from testbed.testing import Testbed

TOPOLOGY = "topologies/private-connectivity.yaml"
pytestmark = [pytest.mark.packets, pytest.mark.topology(TOPOLOGY)]

Apply = Callable[[str, str], None]


@pytest.fixture
def apply_changed(testbed: Testbed, tmp_path: Path) -> Apply:
    """Apply the topology with one text of its file replaced."""

    def apply(old: str, new: str) -> None:
        text = Path(TOPOLOGY).read_text()
        assert text.count(old) == 1
        file = tmp_path / "changed.yaml"
        file.write_text(text.replace(old, new))
        testbed.apply(file, timeout_s=30)

    return apply


def session(testbed: Testbed, node: str, protocol: str) -> dict[str, Any]:
    rows = testbed.status()["bgp"]
    return next(row for row in rows if (row["node"], row["protocol"]) == (node, protocol))


def session_down(testbed: Testbed, node: str, protocol: str, timeout: float = 10) -> str:
    """Wait until a session is down; why it is."""
    testbed.eventually(lambda: not session(testbed, node, protocol)["ok"], timeout)
    return str(session(testbed, node, protocol)["reason"])


def test_tunnels_end_at_private_addresses(testbed: Testbed) -> None:
    """UDP 443 to 443, tagged on the connection, and nothing by the Region's edge (facts: S2)."""
    with (
        testbed["cnd1"].capture("dx-dx1", "vlan 101 and udp port 443") as first,
        testbed["cnd2"].capture("dx-dx2", "vlan 101 and udp port 443") as second,
    ):
        assert testbed["web"].ping(testbed["db"], count=8).received == 8
    packets = [*first.packets, *second.packets]
    assert packets
    assert {packet[Dot1Q].vlan for packet in packets} == {101}
    assert {(packet[UDP].sport, packet[UDP].dport) for packet in packets} == {(443, 443)}
    endpoints = {row["endpoint"] for row in testbed.status()["tunnels"]}
    assert endpoints == {"10.9.0.126:443", "10.9.0.125:443"}


def test_the_security_group_of_the_anchors(testbed: Testbed) -> None:
    """Port 443 and nothing else."""
    anchor = testbed["region.op-anchor1"]
    with testbed["op.host1"].capture("eth0", "tcp[tcpflags] & tcp-rst != 0 or icmp") as answers:
        testbed["op.host1"].run(["ping", "-c1", "-W1", "10.9.0.126"], check=False)
    assert not answers.packets[1:]
    rules = anchor.run(["nft", "list", "chain", "inet", "security_group", "input"]).text
    assert int(rules.rsplit("counter packets ", 1)[1].split()[0]) >= 1


def test_learned_prefixes_propagate_to_both_places(testbed: Testbed) -> None:
    for router in ("region.vpc-app", "op.vpc-app"):
        routes = testbed[router].run(["ip", "route", "show", "table", "1"]).text
        assert "192.168.10.0/24 via" in routes
        assert "10.77.0.0/16 via" not in routes  # local beats all that is propagated
    assert testbed["desk"].ping(testbed["db"], count=1).received == 1
    with testbed["region.vgw-app"].capture("dx-dx3", "icmp") as seen:
        assert testbed["web"].ping(testbed["desk"], count=1).received == 1
    assert len(seen.packets) == 2


def test_a_static_route_beats_a_propagated_one(testbed: Testbed, apply_changed: Apply) -> None:
    apply_changed(
        "main: {propagate: true} # for both",
        "rack: {subnets: [rack], propagate: true, routes:"
        " [{destination: 192.168.10.0/24, target: op.local-gateway}]}\n"
        "      main: {propagate: true} # for both",
    )
    with (
        testbed["op.vpc-app"].capture("lgw", "icmp") as gateway,
        testbed["op.vpc-app"].capture("sl", "icmp") as service_link,
    ):
        assert testbed["web"].ping(testbed["desk"], count=1).received == 1
    assert len(gateway.packets) == 2
    assert not service_link.packets


def test_more_than_a_hundred_prefixes_take_the_session_down(testbed: Testbed) -> None:
    """A private virtual interface takes at most 100 (facts: T1)."""
    device = testbed["cnd1"]
    config, control = "/run/node/cnd1/bird.conf", "/run/node/cnd1/bird.ctl"
    original = device.run(["cat", config]).stdout

    def configure(text: bytes) -> None:
        device.run(["tee", config], input=text)
        assert "Reconfig" in device.run(["birdc", "-s", control, "configure"]).text

    def announce(count: int) -> None:
        routes = "".join(f"route 172.16.{number}.0/24 unreachable;\n" for number in range(count))
        many = f'protocol static many {{ vrf "lgw"; ipv4 {{ table t_lgw; }};\n{routes}}}\n'
        configure(original + many.encode())

    try:
        announce(90)
        testbed.eventually(lambda: session(testbed, "region.vgw-app", "dx_dx3")["imported"] > 90)
        announce(101)
        reason = session_down(testbed, "region.vgw-app", "dx_dx3")
        assert reason == "Cease sent: maximum number of prefixes reached"
    finally:
        configure(original)
    testbed.eventually(lambda: session(testbed, "region.vgw-app", "dx_dx3")["ok"], 30)
    # The session is up before the routes that it brings have reached the site's other device.
    testbed.eventually(lambda: testbed["desk"].ping(testbed["db"], count=1).received == 1)


def test_the_service_link_survives_a_silent_connection(testbed: Testbed) -> None:
    """BFD finds it (three times 300 ms); the other connection carries on."""
    device = testbed["cnd1"]
    device.run(["tc", "qdisc", "replace", "dev", "dx-dx1", "root", "netem", "loss", "100%"])
    try:
        reason = session_down(testbed, "region.vgw-link", "dx_dx1", 5)
        assert "BFD" in reason
        testbed.eventually(lambda: testbed["web"].ping(testbed["db"], count=1).received, 10)
    finally:
        device.run(["tc", "qdisc", "replace", "dev", "dx-dx1", "root", "netem", "delay", "5ms"])
    testbed.eventually(lambda: session(testbed, "region.vgw-link", "dx_dx1")["ok"], 30)
