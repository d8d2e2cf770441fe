"""An Outposts server in a shop: the LAN reaches its instances, with or without the Region."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

from testbed.testing import Testbed

pytestmark = [
    pytest.mark.packets,
    pytest.mark.topology("topologies/lni.yaml"),
    pytest.mark.testbed(time="virtual"),
]


def leased(testbed: Testbed, instance: str) -> str:
    (address,) = testbed[instance].interfaces()["eth1"].addresses
    return address.partition("/")[0]


def test_the_interface_has_a_lease_and_a_mac_of_its_own(testbed: Testbed) -> None:
    state = testbed["pos"].interfaces()["eth1"]
    assert state.addresses == ("192.168.50.102/24",)
    assert int(state.mac[:2], 16) & 3 == 2  # locally administered, unicast
    served = testbed["site.dhcp-shop"].run(["cat", "/run/node/site.dhcp-shop/leases"]).text
    assert f"{state.mac} 192.168.50.102 pos" in served


def test_till_and_instances_reach_each_other(testbed: Testbed) -> None:
    assert testbed["till"].http("http://pos/").status == 200
    reply = testbed["pos"].http(f"http://{testbed['till'].address}/")
    assert f"client {leased(testbed, 'pos')}:" in reply.body.decode()
    assert testbed["scanner"].ping("stock").ok
    assert testbed["desk"].ping("pos").ok  # by the routes that its user data has set


def test_policy_routing_answers_by_the_way_that_was_asked(testbed: Testbed) -> None:
    reply = testbed["pos"].http("http://192.0.2.10/")
    assert b"client 203.0.113.1:" in reply.body  # by the VPC: its Elastic IP
    way = testbed.trace("pos", testbed["till"].address)
    assert [hop.node for hop in way.hops][:2] == ["pos", "srv.lni"]
    # what another network asks by the LAN is answered by the LAN
    assert testbed["desk"].ping(leased(testbed, "stock")).ok


def test_two_instances_of_one_server_talk_locally(testbed: Testbed) -> None:
    with testbed["srv.lni"].capture("lan", "icmp") as wire:
        assert testbed["pos"].ping(leased(testbed, "stock")).ok
    assert not wire.packets


def test_only_the_own_mac_address_passes_and_is_counted(testbed: Testbed) -> None:
    stranger = Ether(src="02:00:5e:00:53:01", dst=testbed["till"].mac("eth0"))
    stranger /= IP(src="192.168.50.99", dst=testbed["till"].address) / ICMP()
    with testbed["srv.lni"].capture("lan", "icmp") as wire:
        testbed["pos"].send(stranger, interface="eth1")
        assert testbed["pos"].ping("till", count=1).ok
    assert not any(packet.src == "02:00:5e:00:53:01" for packet in wire.packets)
    counters = testbed["srv.lni"].nft_counters()
    dropped = [c for c in counters if "pos-lan: not its own source MAC" in str(c)]
    assert dropped
    assert dropped[0].packets >= 1


def test_the_lan_goes_on_without_the_service_link(testbed: Testbed) -> None:
    assert testbed["pos"].ping("ledger").ok
    with testbed.fault("link-down", "site.lan-transit:sl-srv"):
        assert testbed["till"].http("http://pos/").status == 200
        assert not testbed["pos"].ping("ledger", count=1).ok
        testbed.eventually(lambda: not testbed.status()["ok"], 30)
    testbed.settle(120)
    assert testbed["pos"].ping("ledger").ok
