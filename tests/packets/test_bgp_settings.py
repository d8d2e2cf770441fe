"""BGP settings of a customer device with either daemon, judged by what its neighbours see."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP

from testbed.conformance.bgp_wire import Notification, listen
from testbed.testing import Testbed
from testbed.topology.document import Document
from testbed.topology.editing.tree import put

TOPOLOGY = str(Path(__file__).with_name("bgp-settings.yaml.j2"))
pytestmark = [
    pytest.mark.packets,
    pytest.mark.parametrize(
        "daemon",
        [
            pytest.param(name, marks=pytest.mark.topology(TOPOLOGY, daemon=name))
            for name in ("bird", "frr")
        ],
    ),
]


def asked(testbed: Testbed, device: str, *command: str) -> str:
    """What the device's BIRD answers."""
    return testbed[device].run(["birdc", "-s", f"/run/node/{device}/bird.ctl", *command]).text


def learned(testbed: Testbed, device: str) -> dict[str, dict[str, str]]:
    """BGP's attributes of each prefix that a device with BIRD has from `left` in VRF lgw."""
    found: dict[str, dict[str, str]] = {}
    prefix = ""
    for line in asked(testbed, device, "show", "route", "protocol", "lgw_left", "all").splitlines():
        if match := re.match(r"(\S+/\d+) ", line):
            prefix = match[1]
            found[prefix] = {}
        elif match := re.match(r"\s+BGP\.(\w+): (.*?)\s*$", line):
            found[prefix][match[1]] = match[2]
    return found


def paths(testbed: Testbed, device: str) -> dict[str, str]:
    """The AS paths of what a device has from `left` in VRF lgw."""
    return {prefix: route["as_path"] for prefix, route in learned(testbed, device).items()}


def test_outbound_rules_and_as_override_and_a_default_route(testbed: Testbed, daemon: str) -> None:
    """Each rule is about its prefixes; what none is about, and what is denied, stays away."""
    expected = {
        "0.0.0.0/0": "65010",
        "172.21.1.0/24": "65010 65010 65010",
        "172.23.1.0/24": "65010 65010",
        "172.24.1.0/24": "65010 65030",
        "172.25.1.0/24": "65010 65030 65010",
    }
    testbed.eventually(lambda: paths(testbed, "peer") == expected)
    routes = learned(testbed, "peer")
    assert routes["172.21.1.0/24"]["med"] == "77"
    assert routes["172.21.1.0/24"]["community"] == "(65010,7) (65535,65281)"
    assert "community" not in routes["172.23.1.0/24"]


def test_private_as_numbers_but_the_neighbours_are_removed(testbed: Testbed, daemon: str) -> None:
    """A path that the neighbour would know as a loop still is one."""
    expected = {
        "172.21.1.0/24": "65010",
        "172.22.1.0/24": "65010 65020",
        "172.24.1.0/24": "65010",
        "172.24.2.0/24": "65010",
        "172.25.1.0/24": "65010",
    }

    def seen() -> dict[str, str]:  # FRR gives a neighbour its own routes back
        own = {"172.23.1.0/24": "65010 65020"}
        return {k: v for k, v in paths(testbed, "twin").items() if (k, v) not in own.items()}

    testbed.eventually(lambda: seen() == expected)


def test_inbound_rules_and_its_own_as_in_a_path(testbed: Testbed, daemon: str) -> None:
    """What is inside the AS tells its other router: local preferences, and who is let in."""
    expected = {"172.21.1.0/24": "100", "172.24.1.0/24": "50", "172.25.1.0/24": "250"}

    def preferences() -> dict[str, str]:
        routes = learned(testbed, "mate")
        return {prefix: routes[prefix]["local_pref"] for prefix in expected if prefix in routes}

    testbed.eventually(lambda: preferences() == expected)
    assert learned(testbed, "mate")["172.25.1.0/24"]["as_path"] == "65030 65010"


def test_timers_graceful_restart_and_bfd(testbed: Testbed, daemon: str) -> None:
    """What the session is opened with, and what BFD agrees on."""
    seen = asked(testbed, "peer", "show", "protocols", "all", "sl_left")
    assert re.search(r"Hold timer: +[\d.]+/9\b", seen)
    theirs = seen.partition("Neighbor capabilities")[2]
    assert "Restart time: 77" in theirs
    other = asked(testbed, "twin", "show", "protocols", "all", "sl_left")
    assert "Graceful restart" in other.partition("Local capabilities")[2].partition("Neighbor")[0]
    assert "Graceful restart" not in other.partition("Neighbor capabilities")[2]

    def bfd() -> str:
        return asked(testbed, "peer", "show", "bfd", "sessions")

    testbed.eventually(lambda: "Up" in bfd())
    words = next(line.split() for line in bfd().splitlines() if " Up " in line)
    # the longer of the two intervals; the other end's multiplier
    assert [float(word) for word in words[-2:]] == [0.1, 0.5]


@pytest.mark.parametrize("session", ["peer", "twin"])
def test_signatures_and_ttl_on_the_wire(testbed: Testbed, daemon: str, session: str) -> None:
    """Both ends sign with `password`, both ends send with TTL 255 with `ttl_security`.

    A keepalive comes every 3 s.
    """
    with testbed[session].capture("sl_left", "tcp port 179") as capture:
        testbed.eventually(lambda: len({packet[IP].src for packet in capture.packets}) == 2)
    senders: dict[str, list[tuple[bool, int]]] = {}
    for packet in capture.packets:
        signed = any(kind == "MD5" for kind, *_ in packet[TCP].options)
        senders.setdefault(packet[IP].src, []).append((signed, packet[IP].ttl))
    assert len(senders) == 2
    for segments in senders.values():
        if session == "peer":
            assert all(signed for signed, _ in segments)
        else:
            assert {ttl for _, ttl in segments} == {255}


def limited(document: Document, number: int) -> Document:
    """The document in which `left` takes so many prefixes of `far`'s."""
    path = ("site", "devices", "left", "bgp", "sessions", "far/lgw", "max_prefixes")
    return replace(document, data=put(dict(document.data), path, number))


def test_too_many_prefixes_take_a_session_down(testbed: Testbed, daemon: str) -> None:
    """NOTIFICATION Cease, maximum number of prefixes reached; there are three of them.

    FRR's bgpd counts before it adds, so that one too many is not yet enough.
    """
    with testbed["far"].capture("lgw_left", "tcp port 179") as capture:
        testbed.edit(lambda document: limited(document, 1), wait=False)
        source = str(testbed["left"].source_address(4, "lgw_far"))
        told = Notification(6, 1)
        testbed.eventually(lambda: told in listen(capture.packets).notifications(source), 30.0)
    testbed.edit(lambda document: limited(document, 3))
    testbed.eventually(lambda: "172.25.1.0/24" in paths(testbed, "mate"))
