"""A service address on the LAN: one node announces it, and another one once that is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from scapy.layers.l2 import ARP
from scapy.packet import Packet

from testbed.testing import Testbed
from testbed.testing.users import Usage

ADDRESS = "192.168.70.200"
SPEAKER, OTHER = "n2", "n1"  # by SHA-256 of node and address
DETECTED_S = 7.0  # a probe each second, until the end of its second, four seconds of suspicion

pytestmark = [
    pytest.mark.packets,
    pytest.mark.topology("topologies/service-address.yaml"),
    pytest.mark.testbed(time="virtual"),
]


def announces(testbed: Testbed, node: str) -> list[str]:
    found: list[str] = testbed.client.inquire(node, "layer2", {})["announces"]
    return found


@pytest.fixture(autouse=True)
def settled(testbed: Testbed) -> Iterator[None]:
    """All are joined, and the speaker announces; afterwards nobody remembers another one."""
    testbed.eventually(
        lambda: (announces(testbed, SPEAKER), announces(testbed, OTHER)) == (["shop"], []), 75
    )
    testbed["hmi"].run(["ip", "neigh", "flush", "dev", "eth0"])
    testbed.advance(6)  # past the gratuitous ARP of the beginning
    yield
    testbed["hmi"].run(["ip", "neigh", "flush", "dev", "eth0"])


@dataclass
class Takeover:
    """What a machine on the LAN saw: its requests, and the gratuitous ARP for the address."""

    usage: Usage | None = None
    told: list[Packet] = field(default_factory=list)

    @property
    def outage_s(self) -> float:
        """The longest time without an answer."""
        assert self.usage is not None
        assert self.usage.gap_s is not None, "no answers any more"
        return self.usage.gap_s


@contextmanager
def asking(testbed: Testbed, lasts_s: float = DETECTED_S + 5) -> Iterator[Takeover]:
    """Have a machine ask ten times a second, for so long after what is done in the block."""
    seen = Takeover()
    with (
        testbed["hmi"].capture("eth0", f"arp host {ADDRESS}") as wire,
        testbed.users(("hmi", "http://shop/"), every_s=0.1, timeout_s=0.1) as users,
    ):
        testbed.advance(3)
        users.mark()
        yield seen
        testbed.advance(lasts_s)
        (seen.usage,) = users.usage().values()
        seen.told = [p for p in wire.packets if p[ARP].psrc == p[ARP].pdst == ADDRESS]


def mac(testbed: Testbed, node: str) -> str:
    return testbed[node].mac("eth1")


def test_one_answers_and_is_reached(testbed: Testbed) -> None:
    assert testbed["hmi"].http("http://shop/").status == 200
    assert testbed["desk"].http("http://shop/").status == 200  # its answers come by the gateway
    known = testbed["hmi"].run(["ip", "neigh", "show", ADDRESS]).text
    assert mac(testbed, SPEAKER) in known
    way = testbed.trace("hmi", ADDRESS)
    assert [hop.node for hop in way.hops][-2:] == ["srv2.lni", SPEAKER]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("node-stopped", SPEAKER),
        ("link-down", f"{SPEAKER}:eth1"),
        ("link-down", "srv2.lni:lan"),
        ("link-down", "site.lan-plant:lni-srv2"),
    ],
    ids=["instance", "LNI", "server", "LAN port"],
)
def test_the_next_one_takes_over(testbed: Testbed, kind: str, target: str) -> None:
    with asking(testbed) as seen:
        fault = testbed.fault(kind, target)
        fault.__enter__()
    try:
        assert 4.0 < seen.outage_s < DETECTED_S + 0.5
        assert {packet[ARP].hwsrc for packet in seen.told} == {mac(testbed, OTHER)}
        assert {packet[ARP].op for packet in seen.told} == {1, 2}
        print(f"{target}: {seen.outage_s:.1f} s")
    finally:
        fault.__exit__(None, None, None)
        testbed.settle(120)


def test_a_speaker_that_was_cut_off_says_nothing_when_it_is_back(testbed: Testbed) -> None:
    """It has announced all the time, as it saw it: hosts go on to the other (MetalLB's 584)."""
    with asking(testbed, 75) as seen, testbed.fault("link-down", f"{SPEAKER}:eth1"):
        testbed.advance(15)
    assert announces(testbed, SPEAKER) == ["shop"]
    assert announces(testbed, OTHER) == []
    assert {packet[ARP].hwsrc for packet in seen.told} == {mac(testbed, OTHER)}
    assert mac(testbed, OTHER) in testbed["hmi"].run(["ip", "neigh", "show", ADDRESS]).text
    assert seen.outage_s < DETECTED_S + 0.5


def test_a_speaker_that_is_started_anew_says_so(testbed: Testbed) -> None:
    with asking(testbed, 15) as seen, testbed.fault("node-stopped", SPEAKER):
        testbed.advance(15)
    assert seen.told[-1][ARP].hwsrc == mac(testbed, SPEAKER)
    assert seen.outage_s < DETECTED_S + 0.5


def test_the_announcement_outlasts_the_service_link(testbed: Testbed) -> None:
    with asking(testbed) as seen:
        cuts = [testbed.fault("link-down", f"site.lan-transit:sl-srv{n}") for n in (1, 2)]
        for cut in cuts:
            cut.__enter__()
    for cut in cuts:
        cut.__exit__(None, None, None)
    assert seen.usage is not None
    assert seen.usage.ok, seen.usage
    assert not seen.told
    testbed.settle(120)


def test_a_partition_leaves_two_speakers_until_they_have_joined_again(testbed: Testbed) -> None:
    def both() -> bool:
        return all(announces(testbed, node) == ["shop"] for node in (SPEAKER, OTHER))

    with testbed.fault("link-down", "srv1.lni:lan"):
        assert testbed.eventually(both, DETECTED_S + 2)
    with asking(testbed, 70) as seen:
        pass
    assert not both()
    assert seen.usage is not None
    assert seen.usage.ok
