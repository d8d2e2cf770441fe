"""Security groups and network ACLs match IPv6, beside IPv4 and apart from it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.testing import Node, Testbed

TOPOLOGY = Path(__file__).with_name("ipv6-filters.yaml")
pytestmark = [pytest.mark.packets, pytest.mark.topology(str(TOPOLOGY))]

Apply = Callable[..., None]

WEB, LONER = "2001:db8:1:aa00::4", "2001:db8:1:aa00::5"
DB, DB2 = "2001:db8:1:aa01::4", "2001:db8:1:aa01::5"
TWIN = "2001:db8:1:aa08::4"
EVERYONE = '- {protocol: tcp, ports: 80, source: "::/0"}'
MEMBERS = "- {protocol: tcp, ports: 7, source: app}"

CONNECT = """
import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1).close()
"""
ECHO = """
import socket, sys
s = socket.create_connection((sys.argv[1], 7), timeout=float(sys.argv[3]))
data = b"x" * int(sys.argv[2])
s.sendall(data)
got = 0
while got < len(data):
    got += len(s.recv(65536)) or sys.exit("closed")
"""
HOLD = """
import os, socket, sys, time
s = socket.create_connection((sys.argv[1], 7), timeout=5)
while True:
    s.sendall(b"x")
    s.recv(1) or sys.exit("closed")
    if not os.path.exists(sys.argv[2]):
        open(sys.argv[2], "w").close()
    elif os.path.exists(sys.argv[2] + ".stop"):
        break
    time.sleep(0.02)
"""


@pytest.fixture
def apply_changed(testbed: Testbed, tmp_path: Path) -> Apply:
    """Apply the topology with some texts of its file replaced."""

    def apply(*changes: tuple[str, str]) -> None:
        text = TOPOLOGY.read_text()
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        file = tmp_path / "changed.yaml"
        file.write_text(text)
        testbed.apply(file)

    return apply


def connects(client: Node, address: str, port: int = 80) -> bool:
    argv = ["python3", "-S", "-c", CONNECT, address, str(port)]
    return not client.run(argv, check=False).returncode


def echo(client: Node, address: str, size: int, *, timeout_s: float) -> bool:
    """Whether `size` bytes come back from an echo service."""
    argv = ["python3", "-S", "-c", ECHO, address, str(size), str(timeout_s)]
    return not client.run(argv, check=False).returncode


def pings(node: Node, address: str, *options: str) -> bool:
    done = node.run(["ping", "-6", "-n", "-c1", "-W1", *options, address], check=False)
    return bool(done.returncode == 0)


def test_a_rule_is_for_one_family(testbed: Testbed, apply_changed: Apply) -> None:
    web, loner = testbed["web"], testbed["loner"]
    assert connects(testbed["www"], WEB)
    assert connects(loner, WEB)
    assert not connects(loner, web.address)
    apply_changed((EVERYONE, EVERYONE.replace('"::/0"', "0.0.0.0/0")))
    assert not connects(testbed["www"], WEB)
    assert not connects(loner, WEB)
    assert connects(loner, web.address)


def test_a_rule_for_a_block(testbed: Testbed, apply_changed: Apply) -> None:
    apply_changed((EVERYONE, EVERYONE.replace("::/0", "2001:db8:1:aa08::/64")))
    assert connects(testbed["twin"], WEB)
    assert not connects(testbed["loner"], WEB)
    assert not connects(testbed["www"], WEB)


def test_icmpv6_has_types_of_its_own(testbed: Testbed, apply_changed: Apply) -> None:
    assert pings(testbed["www"], WEB)
    # In fragments; the first answer is too big, and teaches web the path's MTU.
    assert pings(testbed["www"], WEB, "-s", "4000", "-c2", "-i0.2")
    assert not pings(testbed["loner"], WEB)
    apply_changed(("icmp_type: 128, source", "icmp_type: 129, source"))
    assert not pings(testbed["www"], WEB)


def test_members_of_a_group_by_ipv6(testbed: Testbed) -> None:
    """In the subnet, in the Region and across the service link, and nobody else."""
    for name in ("web", "rack-app", "db2"):
        assert connects(testbed[name], DB, 7), name
    assert not connects(testbed["loner"], DB, 7)
    assert connects(testbed["db2"], testbed["db"].address, 7)  # and by IPv4


def test_the_default_group_and_what_may_go_out(testbed: Testbed) -> None:
    assert connects(testbed["loner"], TWIN)
    assert connects(testbed["twin"], LONER)
    assert not connects(testbed["web"], LONER)
    assert pings(testbed["loner"], "2001:db8:ffff::10")  # everything may go out, by IPv6 too
    assert not connects(testbed["db"], DB2, 7)  # where it may not, answers go out all the same


def test_a_network_acl_denies(testbed: Testbed) -> None:
    assert not pings(testbed["web"], DB)  # the group would allow it
    assert pings(testbed["db2"], DB)  # inside the subnet
    with testbed["db"].capture(filter="icmp6 or ip6") as seen:
        assert not pings(testbed["web"], DB)
    assert not seen.packets  # silently; and neighbours are not asked for either


def test_a_network_acl_is_for_both_families(testbed: Testbed, apply_changed: Apply) -> None:
    """Nothing but IPv6 is allowed; then IPv4, too."""
    assert not connects(testbed["web"], testbed["db"].address, 7)
    rule = "- {rule: 100, protocol: "
    other = "- {rule: 110, protocol: all, cidr: 0.0.0.0/0, action: allow}\n          "
    both = [(f"{rule}{what}", f"{other}{rule}{what}") for what in ("all", "tcp")]
    apply_changed(*both)
    assert connects(testbed["web"], testbed["db"].address, 7)
    assert connects(testbed["web"], DB, 7)
    assert not pings(testbed["web"], DB)


def test_a_network_acl_knows_no_connections(testbed: Testbed, apply_changed: Apply) -> None:
    assert connects(testbed["web"], DB, 7)
    apply_changed(("ports: 1024-65535, ", "ports: 1-1023, "))
    assert not connects(testbed["web"], DB, 7)
    assert connects(testbed["db2"], DB, 7)


def test_nothing_is_asked_on_the_link_of_an_instance(
    testbed: Testbed, apply_changed: Apply
) -> None:
    """Neighbours are known, so that no filter can come between an instance and its router."""
    apply_changed(("egress: []", "egress: []\n      none: {egress: []}"), ("[web, app]", "[none]"))
    with testbed["web"].capture(filter="ip6") as seen:
        assert not connects(testbed["web"], DB, 7)
    assert {packet["IPv6"].nh for packet in seen.packets} == {6}


def test_path_mtu_discovery(testbed: Testbed, apply_changed: Apply) -> None:
    """A group needs no rule for it, a network ACL does (facts: E mtu, V nacl)."""
    assert echo(testbed["rack-app"], DB, 200_000, timeout_s=10)
    tcp = ('protocol: all, cidr: "2001', 'protocol: tcp, cidr: "2001')
    testbed["db"].run(["ip", "-6", "route", "flush", "cache"])
    apply_changed(tcp)
    assert not echo(testbed["rack-app"], DB, 200_000, timeout_s=3)
    rule = "- {rule: 90,"
    kind = "protocol: icmpv6, icmp_type: 2, icmp_code: 0"
    too_big = f'- {{rule: 80, {kind}, cidr: "::/0", action: allow}}'
    apply_changed(tcp, (rule, f"{too_big}\n          {rule}"))
    assert echo(testbed["rack-app"], DB, 200_000, timeout_s=10)


def held_code(testbed: Testbed, name: str, change: Callable[[], None]) -> int:
    """How a connection from web to db ends that is held while `change` is made; 0: when asked."""
    web = testbed["web"]
    mark = f"/tmp/{name}-held"
    argv = ["python3", "-S", "-c", HOLD, DB, mark]
    codes: list[int] = []
    holder = threading.Thread(target=lambda: codes.append(web.run(argv, check=False).returncode))
    holder.start()
    try:
        testbed.eventually(lambda: not web.run(["test", "-e", mark], check=False).returncode)
        change()
        assert not connects(web, DB, 7)
    finally:
        web.run(["touch", f"{mark}.stop"])
        holder.join()
    return codes[0]


def test_a_connection_outlives_its_rule_unless_untracked(
    testbed: Testbed, apply_changed: Apply, tmp_path: Path
) -> None:
    """It is not tracked where ::/0 allows it and everything the other way (E conntrack)."""
    name = tmp_path.name
    assert held_code(testbed, name, lambda: apply_changed((MEMBERS, ""))) == 0
    everything = ("egress: []", "")
    world = MEMBERS.replace("app", '"::/0"')
    apply_changed(everything, (MEMBERS, world))
    code = held_code(testbed, f"{name}-2", lambda: apply_changed(everything, (MEMBERS, "")))
    assert code != 0
