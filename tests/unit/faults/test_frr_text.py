"""Changing bgpd's configuration: what is one session's stays one session's."""

from __future__ import annotations

import pytest

from testbed.faults.frr_text import FrrText

SHARED = """\
router bgp 65010
 neighbor 10.0.0.1 remote-as 64512
 neighbor 10.0.0.2 remote-as 64512
 address-family ipv4 unicast
  neighbor 10.0.0.1 activate
  neighbor 10.0.0.1 route-map out out
  neighbor 10.0.0.2 activate
  neighbor 10.0.0.2 route-map out out
 exit-address-family
exit
route-map out permit 10
 match ip address prefix-list mine
exit
route-map out permit 20
 set as-path prepend 65010
exit
"""
ALONE = SHARED.replace("  neighbor 10.0.0.2 route-map out out\n", "")
COPY = """\
route-map fault-10.0.0.1-out permit 10
 match ip address prefix-list mine
route-map fault-10.0.0.1-out permit 20
 set as-path prepend 65010
exit
"""


def test_a_shared_route_map_stays_the_others() -> None:
    text = FrrText(SHARED)
    text.withdraw("10.0.0.1", "10.7.0.0/16")
    assert "  neighbor 10.0.0.1 route-map fault-10.0.0.1-out out\n" in text.text
    assert "  neighbor 10.0.0.2 route-map out out\n" in text.text
    assert COPY in text.text
    assert "route-map fault-10.0.0.1-out deny 9\n match ip address prefix-list" in text.text
    assert "route-map out deny" not in text.text


def test_a_map_of_one_session_is_changed_itself() -> None:
    text = FrrText(ALONE)
    text.withdraw("10.0.0.1", "10.7.0.0/16")
    assert "route-map out deny 9\n" in text.text
    assert "fault-10.0.0.1-out" not in text.text


@pytest.mark.parametrize(
    "use", ["  redistribute static route-map out", "  network 10.0.0.0/8 route-map out"]
)
def test_what_else_uses_the_map_keeps_it(use: str) -> None:
    text = FrrText(ALONE.replace(" exit-address-family", f"{use}\n exit-address-family"))
    text.withdraw("10.0.0.1", "")
    assert f"{use}\n" in text.text
    assert "route-map out deny" not in text.text
    assert "route-map fault-10.0.0.1-out deny 9\nexit\n" in text.text


def test_each_session_is_drained_once() -> None:
    text = FrrText(SHARED)
    for neighbor in text.neighbors():
        text.prepend(neighbor, 2)
    prepends = [line for line in text.text.splitlines() if "prepend" in line]
    once, more = " set as-path prepend 65010 65010", " set as-path prepend 65010 65010 65010"
    assert sorted(prepends) == [once, once, more, more]


def test_a_session_without_a_map_gets_one_that_permits() -> None:
    text = FrrText(ALONE)
    text.withdraw("10.0.0.2", "10.7.0.0/16")
    assert (
        "  neighbor 10.0.0.2 activate\n  neighbor 10.0.0.2 route-map fault-10.0.0.2-out out\n"
        in text.text
    )
    assert "route-map fault-10.0.0.2-out permit 100\nexit\n" in text.text
