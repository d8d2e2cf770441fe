"""The customer's firewall in the way of the service link (facts: S4, R2)."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP

from testbed.errors import NetworkError
from testbed.testing import Testbed

TOPOLOGY = Path(__file__).with_name("firewall.yaml")
pytestmark = [pytest.mark.packets, pytest.mark.topology(str(TOPOLOGY))]

NAT = "{devices: [cnd1, cnd2], nat: true}"


def changed(tmp_path: Path, firewall: str) -> Path:
    """The topology with another firewall."""
    text = TOPOLOGY.read_text()
    assert text.count(NAT) == 1
    file = tmp_path / "changed.yaml"
    file.write_text(text.replace(NAT, firewall))
    return file


def test_address_and_port_translation_is_tolerated(testbed: Testbed) -> None:
    """Outside there is neither the infrastructure subnet nor source port 443 (facts: R2)."""
    with testbed["fw1"].capture("region", "udp dst port 443") as seen:
        assert testbed["web"].ping(testbed["db"], count=6).received == 6
    sources = {(packet[IP].src, packet[UDP].sport) for packet in seen.packets}
    assert {address for address, _ in sources} == {"100.67.0.8"}
    assert 443 not in {port for _, port in sources}
    assert "10.200" not in testbed["region.edge"].run(["ip", "route"]).text


def test_what_begins_outside_is_refused(testbed: Testbed) -> None:
    testbed["region.edge"].run(["ip", "route", "add", "10.200.0.0/26", "via", "100.67.0.8"])
    try:
        with testbed["cnd1"].capture("region", "icmp") as seen:
            assert testbed["region.edge"].ping("10.200.0.10", count=2).received == 0
    finally:
        testbed["region.edge"].run(["ip", "route", "del", "10.200.0.0/26"])
    assert not seen.packets


def test_a_stateless_firewall_with_the_mirrored_rules(testbed: Testbed, tmp_path: Path) -> None:
    """Without translation: UDP 443 to 443 in both directions, no connection tracking."""
    testbed.apply(changed(tmp_path, "{devices: [cnd1, cnd2], filter: stateless}"), timeout_s=60)
    assert "ct state" not in testbed["fw1"].run(["nft", "list", "ruleset"]).text
    # The Region answers to the port of before until it has heard from the new one.
    anchors = [testbed[f"region.anchor{number}"] for number in (1, 2)]
    testbed.eventually(
        lambda: all(str(t.endpoint).endswith(":443") for a in anchors for t in a.tunnels())
    )
    testbed.advance(0.1)  # longer than the link delays what was on its way
    with testbed["fw1"].capture("region", "udp") as seen:
        assert testbed["web"].ping(testbed["db"], count=4).received == 4
    ports = {(packet[UDP].sport, packet[UDP].dport) for packet in seen.packets}
    assert ports == {(443, 443)}


def test_own_rules_that_block_udp_443(testbed: Testbed, tmp_path: Path) -> None:
    """Would this firewall bring the rack up? No, and status says why."""
    (tmp_path / "no-udp.nft").write_text(
        (Path(__file__).parent / "rules" / "no-udp.nft").read_text()
    )
    firewall = "{devices: [cnd1, cnd2], ruleset: no-udp.nft}"
    with pytest.raises(NetworkError) as caught:
        Testbed.up(changed(tmp_path, firewall), name=f"{testbed.name}-blocked", timeout_s=8)
    told = str(caught.value.hint)
    assert "op tunnel 1 - anchor1: no handshake yet" in told
    assert "no answer to UDP 443 from 198.51.100.11" in told
