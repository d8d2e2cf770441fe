"""Whose frames tell how a VLAN is tagged: those of the end that was asked to call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from scapy.layers.l2 import ARP, Dot1Q, Ether

from testbed.conformance import test_vlan as suite
from testbed.conformance.expectation import Deviation
from testbed.conformance.rack_subjects import VifSubject, vifs
from testbed.conformance.site import Site
from testbed.lifecycle.installation import load_topology
from testbed.topology.model import Topology

TOPOLOGY = load_topology("topologies/broken/swapped-vlans.yaml", {})
VIFS = {vif.vif.vlan: vif for vif in vifs(TOPOLOGY) if vif.on.device == "cnd1"}
ASKED, OTHER = VIFS[1001], VIFS[2001]
LOOKS = 5


def frame(sender: object, vlan: int) -> Any:
    """A question for a neighbour, as whoever has no answer yet sends again and again."""
    return Ether() / Dot1Q(vlan=vlan) / ARP(psrc=str(sender))


@dataclass
class Wire:
    """The cables: `before` has come when the end calls, `after` comes with a later look."""

    before: list[Any]
    after: list[Any]
    topology: Topology = TOPOLOGY
    packets: list[Any] = field(default_factory=list)

    @contextmanager
    def captures(self, _: object, places: list[Any], __: str) -> Iterator[dict[Any, Any]]:
        self.packets = [*self.before]
        yield dict.fromkeys(places[:1], self)

    def settled(self, look: Callable[[], Any], ok: Callable[[Any], object], _: float) -> Any:
        for _ in range(LOOKS):
            if ok(found := look()):
                return found
            self.packets = [*self.before, *self.after]
        return look()


def tagged(monkeypatch: pytest.MonkeyPatch, wire: Wire, vif: VifSubject = ASKED) -> None:
    monkeypatch.setattr(suite, "captures", wire.captures)
    monkeypatch.setattr(suite, "call_out", lambda *_: "")
    monkeypatch.setattr(suite, "exists", lambda *_: True)
    suite.test_tagged(cast("Site", wire), vif)


def test_the_other_virtual_interfaces_frames_do_not_stand_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other one, of the wrong VLAN, is heard first, and has the tag that this one should."""
    others = [frame(OTHER.vif.peer_address.ip, 1001)]
    with pytest.raises(Deviation) as raised:
        tagged(monkeypatch, Wire(others, [frame(ASKED.vif.peer_address.ip, 2001)]))
    assert raised.value.seen == "frames tagged 2001"


def test_nor_do_those_of_its_other_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Deviation) as raised:
        tagged(monkeypatch, Wire([frame(ASKED.vif.local_address.ip, 1001)], []))
    assert "nothing arrived" in raised.value.seen


def test_frames_of_an_address_that_nobody_should_have_are_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The wrong address is another check's to find."""
    tagged(
        monkeypatch,
        Wire([frame("192.0.2.1", 1001)], [frame(ASKED.vif.local_address.ip, 1001)]),
    )
