"""Security groups and network ACLs, on packets: the story of topologies/security-groups.yaml."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.errors import NetworkError
from testbed.testing import Node, Testbed

TOPOLOGY = Path(__file__).parents[2] / "topologies" / "security-groups.yaml"
pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/security-groups.yaml")]

Apply = Callable[..., None]

ECHO = """
import socket, sys
s = socket.create_connection((sys.argv[1], 7), timeout=float(sys.argv[3]))
data = b"x" * int(sys.argv[2])
s.sendall(data)
got = 0
while got < len(data):
    got += len(s.recv(65536)) or sys.exit("closed")
print(got)
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


def echo(client: Node, server: Node, size: int = 1, *, timeout_s: float = 1.0) -> bool:
    """Whether `size` bytes come back from the server's echo service."""
    argv = ["python3", "-c", ECHO, server.address, str(size), str(timeout_s)]
    return not client.run(argv, check=False).returncode


def reaches(client: Node, server: Node) -> bool:
    """Whether the client gets the server's web page."""
    try:
        return client.http(f"http://{server.name}/", timeout_s=1).status == 200
    except NetworkError:
        return False


def test_a_prefix_list_lets_the_office_in_and_nobody_else(testbed: Testbed) -> None:
    assert reaches(testbed["desk"], testbed["web"])
    assert not reaches(testbed["guest"], testbed["web"])
    assert testbed["guest"].ping("web", count=1).received == 1  # another rule of the group
    assert not reaches(testbed["desk"], testbed["app"])


def test_what_is_dropped_is_dropped_silently(testbed: Testbed) -> None:
    with testbed["guest"].capture(filter="tcp or icmp") as seen:
        assert not reaches(testbed["guest"], testbed["web"])
    assert {packet["IP"].src for packet in seen.packets} == {testbed["guest"].address}


def test_members_of_a_group_are_let_in_wherever_they_are(testbed: Testbed) -> None:
    assert echo(testbed["web"], testbed["db"])
    assert echo(testbed["app"], testbed["db"])
    assert echo(testbed["db2"], testbed["db"])
    assert not echo(testbed["loner"], testbed["db"])
    assert reaches(testbed["web"], testbed["app"])
    assert not reaches(testbed["loner"], testbed["app"])


def test_a_group_without_outbound_rules_answers_all_the_same(testbed: Testbed) -> None:
    assert echo(testbed["web"], testbed["db"])
    assert not echo(testbed["db"], testbed["db2"])


def test_the_default_group_is_for_its_members(testbed: Testbed) -> None:
    assert reaches(testbed["loner"], testbed["twin"])
    assert not reaches(testbed["web"], testbed["twin"])
    assert testbed["loner"].ping("web", count=1).received == 0
    assert testbed["loner"].ping("desk", count=1).received == 1  # all outbound is allowed


def test_a_network_acl_is_at_the_subnets_boundary(testbed: Testbed) -> None:
    assert testbed["web"].ping("db", count=1).received == 0  # the group would allow it
    assert testbed["db2"].ping("db", count=1).received == 1  # inside the subnet


def test_a_network_acl_knows_no_connections(testbed: Testbed, apply_changed: Apply) -> None:
    rule = "{rule: 100, protocol: tcp, ports: 1024-65535, cidr: 10.77.0.0/16, action: allow}"
    lower = rule.replace("100", "90").replace("allow", "deny")
    apply_changed((f"- {rule}", f"- {rule}\n          - {lower}"))
    assert not echo(testbed["web"], testbed["db"])
    assert echo(testbed["db2"], testbed["db"])
    apply_changed((f"- {rule}", f"- {rule}\n          - {lower.replace('90', '110')}"))
    assert echo(testbed["web"], testbed["db"])  # the rule with the lowest number decides


def held_code(testbed: Testbed, name: str, change: Callable[[], None]) -> int:
    """How a connection from web to db ends that is held while `change` is made; 0: when asked."""
    web, db = testbed["web"], testbed["db"]
    mark = f"/tmp/{name}-held"
    argv = ["python3", "-c", HOLD, db.address, mark]
    codes: list[int] = []
    holder = threading.Thread(target=lambda: codes.append(web.run(argv, check=False).returncode))
    holder.start()
    try:
        testbed.eventually(lambda: not web.run(["test", "-e", mark], check=False).returncode)
        change()
        assert not echo(web, db)
    finally:
        web.run(["touch", f"{mark}.stop"])
        holder.join()
    return codes[0]


RULE = "- {protocol: tcp, ports: 7, source: app}"


def test_a_connection_outlives_the_rule_that_let_it_in(
    testbed: Testbed, apply_changed: Apply, tmp_path: Path
) -> None:
    assert held_code(testbed, tmp_path.name, lambda: apply_changed((RULE, ""))) == 0


def test_an_untracked_connection_ends_with_its_rule(
    testbed: Testbed, apply_changed: Apply, tmp_path: Path
) -> None:
    """AWS does not track what 0.0.0.0/0 allows in both directions (E conntrack)."""
    everything = ("egress: [] # it opens no connection, and answers all the same", "")
    world = RULE.replace("app", "0.0.0.0/0")
    apply_changed(everything, (RULE, world))
    assert echo(testbed["loner"], testbed["db"])
    code = held_code(testbed, tmp_path.name, lambda: apply_changed(everything, (RULE, "")))
    assert code != 0
    apply_changed((RULE, world))  # now it is tracked: not everything may go out
    assert held_code(testbed, f"{tmp_path.name}-2", lambda: apply_changed((RULE, ""))) == 0


def test_leaving_a_group_takes_effect_live(testbed: Testbed, apply_changed: Apply) -> None:
    apply_changed(("security_groups: [web, app]", "security_groups: [web]"))
    assert not echo(testbed["web"], testbed["db"])
    assert reaches(testbed["desk"], testbed["web"])


def test_without_groups_nothing_is_filtered(testbed: Testbed, tmp_path: Path) -> None:
    """A VPC whose file says nothing of groups; AWS has no such VPC (docs/fidelity.md)."""
    lines = TOPOLOGY.read_text().splitlines()
    start, end = lines.index("    security_groups:"), lines.index("    network_acls:")
    kept = [
        line.split(", security_groups:")[0] + "}" if "security_groups: [" in line else line
        for line in lines[:start] + lines[end:]
    ]
    file = tmp_path / "open.yaml"
    file.write_text("\n".join(kept))
    testbed.apply(file)
    assert testbed["guest"].ping("app", count=1).received == 1
    assert testbed["web"].ping("db", count=1).received == 0  # the network ACL remains


# Path MTU discovery


def test_path_mtu_discovery_needs_no_rule_of_a_security_group(testbed: Testbed) -> None:
    """AWS: an ICMP error about an outbound packet is let in (E mtu)."""
    for node in ("app", "web", "db"):
        testbed[node].run(["ip", "route", "flush", "cache"])  # what other tests have had discovered
    with testbed["web"].capture(filter="icmp[icmptype] = 3 and icmp[icmpcode] = 4") as seen:
        assert echo(testbed["app"], testbed["db"], 200_000, timeout_s=10)
        assert echo(testbed["web"], testbed["db"], 200_000, timeout_s=10)
    assert {packet["ICMP"].nexthopmtu for packet in seen.packets} == {1300}


def test_path_mtu_discovery_breaks_when_a_network_acl_blocks_icmp(
    testbed: Testbed, apply_changed: Apply
) -> None:
    """AWS: a network ACL has to allow type 3, code 4 (V nacl)."""
    tcp = "{rule: 100, protocol: tcp, cidr: 0.0.0.0/0, action: allow}"
    acl = f"""    network_acls:
      rack: {{ingress: [{tcp}], egress: [{tcp}]}}
"""
    subnet = ("10.77.7.0/24, outpost: op}", "10.77.7.0/24, outpost: op, network_acl: rack}")
    apply_changed(subnet, ("    network_acls:\n", acl))
    testbed["web"].run(["ip", "route", "flush", "cache"])
    assert echo(testbed["web"], testbed["db"])
    assert not echo(testbed["web"], testbed["db"], 200_000, timeout_s=3)
    allowed = acl.replace(
        f"ingress: [{tcp}",
        f"ingress: [{tcp}, {{rule: 110, protocol: icmp, icmp_type: 3,"
        " icmp_code: 4, cidr: 0.0.0.0/0, action: allow}",
    )
    apply_changed(subnet, ("    network_acls:\n", allowed))
    assert echo(testbed["web"], testbed["db"], 200_000, timeout_s=10)
