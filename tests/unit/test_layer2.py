"""Announcing service addresses: who announces, who counts as living, and the frames."""

from __future__ import annotations

import hashlib
import random
import socket

from scapy.layers.l2 import ARP, Ether

from testbed.programs.layer2 import arp
from testbed.programs.layer2.election import speaker
from testbed.programs.layer2.members import Members, Message

OWN = bytes.fromhex("020000000001")


class Group:
    """Members with a wire of no delay between them, but for those that are cut off."""

    def __init__(self, *names: str) -> None:
        self.now = 0.0
        self.cut: set[str] = set()
        self.members = {name: self._member(name, names) for name in names}

    def _member(self, name: str, names: tuple[str, ...]) -> Members:
        others = tuple(other for other in names if other != name)
        return Members(name, others, self.now, chance=random.Random(name))

    def restart(self, name: str) -> None:
        """Have a member begin anew, as after a crash."""
        self.members[name] = self._member(name, tuple(self.members))

    def _carry(self, sender: str, out: list[tuple[str, Message]]) -> None:
        for name, message in out:
            if not {sender, name} & self.cut:
                self._carry(name, self.members[name].hear(self.now, sender, message))

    def run(self, until: float) -> None:
        """Let time pass, from event to event."""
        while (due := min(member.due() for member in self.members.values())) <= until:
            self.now = max(self.now, due)
            for name, member in self.members.items():
                if member.due() <= self.now:
                    self._carry(name, member.tick(self.now))
        self.now = until


def test_the_lowest_hash_announces_and_the_next_one_takes_over() -> None:
    address, nodes = "192.168.70.200", ["n1", "n2", "n3"]
    order = sorted(nodes, key=lambda n: hashlib.sha256(f"{n}#{address}".encode()).hexdigest())
    assert speaker(address, nodes) == order[0]
    assert speaker(address, order[1:]) == order[1]
    assert speaker(address, []) is None


def test_services_are_spread_over_nodes() -> None:
    chosen = {speaker(f"192.168.70.{n}", ["n1", "n2", "n3"]) for n in range(200, 230)}
    assert chosen == {"n1", "n2", "n3"}


def test_all_join_and_stay() -> None:
    group = Group("a", "b", "c")
    group.run(300)
    for member in group.members.values():
        assert member.joined
        assert member.living() == ["a", "b", "c"]


def test_one_that_is_silent_is_dead_after_suspicion() -> None:
    group = Group("a", "b", "c")
    group.run(100)
    group.cut = {"c"}
    group.run(104)
    assert group.members["a"].states()["c"] != "dead"  # it has four seconds to say that it lives
    group.run(109)
    assert group.members["a"].living() == ["a", "b"] == group.members["b"].living()
    assert group.members["c"].living() == ["c"]  # which thinks so of all others


def test_one_that_comes_back_is_joined_within_a_minute() -> None:
    group = Group("a", "b")
    group.run(100)
    group.cut = {"b"}
    group.run(120)
    group.cut = set()
    group.run(181)
    assert group.members["a"].living() == ["a", "b"] == group.members["b"].living()


def test_one_that_starts_anew_refutes_its_death_at_once() -> None:
    group = Group("a", "b")
    group.run(100)
    group.cut = {"b"}
    group.run(120)
    group.cut = set()
    group.restart("b")
    group.run(120.1)
    assert group.members["a"].living() == ["a", "b"]


def test_one_whose_way_to_one_other_is_cut_lives_by_a_third() -> None:
    group = Group("a", "b", "c")
    group.run(100)
    direct = group._carry

    def carry(sender: str, out: list[tuple[str, Message]]) -> None:
        direct(sender, [(name, m) for name, m in out if {sender, name} != {"a", "b"}])

    group._carry = carry  # type: ignore[method-assign]
    group.run(160)
    assert group.members["a"].living() == ["a", "b", "c"]


def test_one_without_others_announces_at_once() -> None:
    assert Members("a", (), 0.0).joined


def test_one_whose_others_are_silent_from_the_beginning_waits_for_tcps_time() -> None:
    group = Group("a", "b")
    group.cut = {"b"}
    group.run(9)
    assert not group.members["a"].joined
    group.run(11)
    assert group.members["a"].joined


def test_frames_are_what_others_read() -> None:
    request = bytes(
        Ether(src="02:00:00:00:00:02", dst="ff:ff:ff:ff:ff:ff")
        / ARP(hwsrc="02:00:00:00:00:02", psrc="192.0.2.2", pdst="192.0.2.200")
    )
    asked = arp.question(request, OWN)
    assert asked is not None
    assert asked.wanted == "192.0.2.200"
    answer = Ether(arp.reply(OWN, asked))
    assert (answer.dst, answer[ARP].op) == ("02:00:00:00:00:02", 2)
    assert (answer[ARP].hwsrc, answer[ARP].psrc) == ("02:00:00:00:00:01", "192.0.2.200")
    for frame, operation in zip(arp.gratuitous(OWN, "192.0.2.200"), (1, 2), strict=True):
        told = Ether(frame)
        assert (told.dst, told[ARP].op) == ("ff:ff:ff:ff:ff:ff", operation)
        assert told[ARP].psrc == told[ARP].pdst == "192.0.2.200"
        assert told[ARP].hwsrc == "02:00:00:00:00:01"


def test_other_frames_are_no_questions() -> None:
    request = Ether(dst="02:00:00:00:00:09") / ARP(pdst="192.0.2.200")  # to somebody else
    assert arp.question(bytes(request), OWN) is None
    assert arp.question(bytes(Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(op=2)), OWN) is None
    assert arp.question(socket.inet_aton("192.0.2.1"), OWN) is None
