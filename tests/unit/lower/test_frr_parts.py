"""Taking an integrated frr.conf apart: each line goes to those that read it alone."""

from __future__ import annotations

import pytest

from testbed.lower.site.frr_parts import BFDD, BGPD, ISISD, OSPFD, STATICD, ZEBRA, parts
from testbed.lower.site.own_configuration import in_the_testbeds_words, neighbors

WHOLE = """\
frr version 8.4.4
frr defaults datacenter
hostname edge
service integrated-vtysh-config
!
vrf inet
 ip route 10.9.0.0/16 blackhole
 ip protocol bgp route-map FROM-BGP
exit-vrf
interface eth0 vrf lgw
 description uplink of ip ospf
 ip address 192.0.2.1/24
 ip ospf area 0
exit
ip prefix-list OURS seq 5 permit 10.0.0.0/8
ip prefix-list SPARE seq 5 permit 10.0.0.0/8
route-map FROM-BGP permit 10
 match ip address prefix-list OURS
exit
route-map OUT permit 10
 set as-path prepend 65000
exit
ip route 0.0.0.0/0 192.0.2.9
router bgp 65000 vrf lgw
 neighbor 192.0.2.2 remote-as 65001
 neighbor 192.0.2.2 bfd
 address-family ipv4 unicast
  neighbor 192.0.2.2 route-map OUT out
 exit-address-family
exit
router ospf vrf lgw
 redistribute bgp
exit
bfd
 peer 192.0.2.2 vrf lgw
  detect-multiplier 5
 exit
exit
line vty
 exec-timeout 0 0
"""


def lines(daemon: str, text: str = WHOLE) -> list[str]:
    return [line.strip() for line in parts(text).of(daemon).splitlines() if line]


def test_every_daemon_has_its_lines_and_no_other_ones() -> None:
    common = ["frr defaults datacenter", "hostname edge"]
    policy = [
        "ip prefix-list OURS seq 5 permit 10.0.0.0/8",
        "route-map FROM-BGP permit 10",
        "match ip address prefix-list OURS",
        "exit",
    ]
    assert lines(STATICD) == [
        *common,
        *("vrf inet", "ip route 10.9.0.0/16 blackhole", "exit-vrf"),
        "ip route 0.0.0.0/0 192.0.2.9",
    ]
    assert lines(ZEBRA) == [
        *common,
        *("vrf inet", "ip protocol bgp route-map FROM-BGP", "exit-vrf"),
        "interface eth0 vrf lgw",
        *("description uplink of ip ospf", "ip address 192.0.2.1/24", "exit"),
        *policy,
    ]
    assert lines(OSPFD) == [
        *common,
        *("interface eth0 vrf lgw", "ip ospf area 0", "exit"),
        *("router ospf vrf lgw", "redistribute bgp", "exit"),
    ]
    assert lines(BFDD)[2:] == [
        *("bfd", "peer 192.0.2.2 vrf lgw", "detect-multiplier 5", "exit", "exit"),
    ]
    own = lines(BGPD)
    assert "set as-path prepend 65000" in own
    assert "ip prefix-list SPARE seq 5 permit 10.0.0.0/8" in own  # of no user: not lost
    assert not {"bfd", "router ospf vrf lgw", "ip route 0.0.0.0/0 192.0.2.9"} & set(own)


def test_a_line_keeps_its_number() -> None:
    whole = WHOLE.splitlines()
    taken = parts(WHOLE)
    for daemon in taken.daemons:
        for number, line in enumerate(taken.of(daemon).splitlines()):
            assert line in {"", whole[number]}


def test_daemons_start_with_zebra_and_only_those_with_work() -> None:
    assert parts(WHOLE).daemons == (ZEBRA, STATICD, BFDD, OSPFD, BGPD)
    assert parts("router isis x\n").daemons == (ZEBRA, ISISD)
    assert parts("").daemons == (ZEBRA,)


def test_what_is_about_a_terminal_is_nobodys() -> None:
    assert parts(WHOLE).terminal == [
        0,
        3,
        *(WHOLE.splitlines().index("line vty") + n for n in (0, 1)),
    ]


@pytest.mark.parametrize(
    ("text", "daemon"),
    [("router rip\n network 10.0.0.0/8\n", "ripd"), ("interface e\n ip pim\n", "pimd")],
)
def test_what_no_device_runs_is_foreign(text: str, daemon: str) -> None:
    assert {name for _, name in parts(text).foreign} == {daemon}


def test_a_block_ends_without_exit_where_the_next_begins() -> None:
    text = "router bgp 1\n neighbor 10.0.0.1 remote-as 2\nip route 10.0.0.0/8 Null0\n"
    assert lines(STATICD, text) == ["ip route 10.0.0.0/8 Null0"]
    assert lines(BGPD, text) == ["router bgp 1", "neighbor 10.0.0.1 remote-as 2"]


def test_interfaces_get_the_testbeds_names() -> None:
    text = 'interface bond0.1001\n description bond0 is here\n via "bond0";\nbond01 xbond0 bond0\n'
    assert in_the_testbeds_words(text, {"bond0": "op"}) == (
        'interface op.1001\n description bond0 is here\n via "op";\nbond01 xbond0 op\n'
    )


def test_the_neighbors_of_both_daemons_are_found() -> None:
    assert neighbors(" neighbor 10.0.0.1 remote-as 2\n neighbor PEERS remote-as 3\n") == {
        "10.0.0.1"
    }
    assert neighbors("protocol bgp a {\n  neighbor 10.0.0.2 as 64512;\n}\n") == {"10.0.0.2"}
