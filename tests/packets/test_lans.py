"""The customer's LANs: VLANs, leases, names, a shared gateway, IPv6, what switches forget."""

from __future__ import annotations

import pytest

from testbed.testing import Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("lans.yaml")]


def test_hosts_have_leases_with_gateway_and_names(testbed: Testbed) -> None:
    till = testbed["till"]
    assert "192.168.50.100/24" in till.interfaces()["eth0"].addresses
    assert till.run(["ip", "route", "show", "default"]).text.startswith(
        "default via 192.168.50.1 dev eth0"
    )
    assert "nameserver 192.168.50.5" in till.run(["cat", "/etc/resolv.conf"]).text
    found = till.run(["getent", "hosts", "plc.site.example", "mirror.example"]).text.split()
    assert found == ["192.168.59.10", "plc.site.example", "192.0.2.10", "mirror.example"]
    assert till.http("http://mirror.example/").status == 200
    assert testbed["scanner"].http("http://till/").status == 200


def test_a_lease_is_renewed_and_stays(testbed: Testbed) -> None:
    testbed.advance(4000)
    assert testbed["till"].ping("scanner").ok
    asked = testbed["site.dhcp-shop"].run(["cat", "/run/node/site.dhcp-shop/dnsmasq.log"]).text
    assert asked.count("DHCPREQUEST(eth0) 192.168.50.100") >= 2
    assert asked.count("DHCPDISCOVER(eth0)") == 2


def test_frames_stay_in_their_vlan(testbed: Testbed) -> None:
    with testbed["plc"].capture("eth0", "arp and host 192.168.50.77") as wire:
        testbed["till"].ping("192.168.50.77", count=1)
        testbed["robot"].ping("plc")
    assert not wire.packets
    assert testbed["till"].ping("plc").ok  # by the gateway


def test_a_segment_has_an_mtu(testbed: Testbed) -> None:
    assert testbed["robot"].ping("plc", size=8972, df=True).ok
    refused = testbed["robot"].ping("till", size=8972, df=True)
    assert not refused.ok
    assert "mtu = 1500" in str(refused.error)


def test_the_gateway_moves_to_the_other_device(testbed: Testbed) -> None:
    shared = testbed["cnd1"].interfaces()["vrrp_shop"]
    assert shared.addresses == ("192.168.50.1/24",)
    assert shared.mac == "00:00:5e:00:01:01"
    assert testbed["till"].ping("plc").ok
    with testbed.fault("link-down", "cnd1:lan_shop"):
        testbed.eventually(
            lambda: testbed["cnd2"].interfaces()["vrrp_shop"].addresses == shared.addresses, 10
        )
        # the switch has learned from gratuitous ARP where the same MAC address is now
        assert testbed["till"].ping("plc").ok
        assert testbed["till"].ping("192.168.50.1").ok
    testbed.settle()
    assert testbed["cnd1"].interfaces()["vrrp_shop"].addresses == shared.addresses


def test_hosts_make_addresses_of_what_routers_advertise(testbed: Testbed) -> None:
    def own() -> list[str]:
        text = testbed["till"].run(["ip", "-6", "-o", "address", "show", "scope", "global"]).text
        return [word for word in text.split() if word.startswith("2001:db8:50:")]

    assert testbed.eventually(own, 30)
    routes = testbed["till"].run(["ip", "-6", "route", "show", "default"]).text
    assert routes.count("proto ra") == 2
    assert testbed["scanner"].ping(own()[0].partition("/")[0]).ok


def test_a_switch_that_does_not_flood_makes_a_black_hole(testbed: Testbed) -> None:
    """The printer still trusts ARP when the switch has long forgotten the desk's MAC address."""
    printer, desk = testbed["printer"], testbed["desk"]
    assert printer.ping(desk).ok
    testbed.advance(60)
    with desk.capture("eth0", "icmp") as wire:
        assert not printer.ping(desk, count=1).ok
    assert not wire.packets
    assert desk.ping(printer).ok  # the switch learns it again
    assert printer.ping(desk).ok
