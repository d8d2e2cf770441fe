"""Edits that are not about a connection leave it alone, and the counters of rules with it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from testbed.control.client import RemoteProcess
from testbed.testing import Testbed
from testbed.topology.editing import (
    Change,
    authorize_security_group_ingress,
    create_network_acl_entry,
    delete_network_acl_entry,
    modify_region_link,
    revoke_security_group_ingress,
    run_instances,
    terminate_instances,
)

pytestmark = [pytest.mark.packets, pytest.mark.timeout(300)]
EDITS = 200
TALK = """
import socket, sys
with socket.create_connection((sys.argv[1], 7), 20) as peer:
    print("connected", flush=True)
    for line in sys.stdin:
        peer.sendall(line.encode())
        print(peer.recv(100).decode().strip(), flush=True)
"""


@contextlib.contextmanager
def connected(testbed: Testbed, client: str, address: str) -> Iterator[Callable[[str], None]]:
    """Hold a connection to an echo service; sends a word by it, and waits for the answer."""
    with testbed.client.popen(client, ["python3", "-c", TALK, address]) as process:
        wait_for(process, "connected")

        def say(word: str) -> None:
            process.write(f"{word}\n".encode())
            wait_for(process, word)

        say("first")
        yield say
        process.close_stdin()
        assert process.wait(60).returncode == 0


def wait_for(process: RemoteProcess, word: str) -> None:
    """Read until the command has written a line."""
    output = b""
    for chunk in process.chunks():
        output += chunk
        if output.splitlines()[-1:] == [word.encode()]:
            return
    pytest.fail(f"no {word!r}, but {output!r}: {bytes(process.stderr)!r}")


def keep_editing(
    testbed: Testbed, say: Callable[[str], None], *changes: Change, edits: int = EDITS
) -> None:
    """Make the changes again and again, and use the connection between."""
    for number in range(edits):
        testbed.edit(changes[number % len(changes)])
        if number % 10 == 9:
            say(f"after {number}")


@pytest.mark.topology("topologies/security-groups.yaml")
def test_what_the_filters_remember(testbed: Testbed) -> None:
    """A connection through the VPC's routers, and what one of their rules has dropped."""
    assert testbed["web"].ping("loner", count=1).received == 0
    before = dropped(testbed)
    assert before
    rule: dict[str, Any] = {"vpc": "app", "group": "web", "cidr_ip": "192.168.77.0/24"}
    rule |= {"ip_protocol": "tcp", "from_port": 8443, "to_port": 8443}
    entry: dict[str, Any] = {"vpc": "app", "network_acl": "default"}
    entry |= {"rule_number": 77, "egress": False}
    with connected(testbed, "web", testbed.address("db")) as say:
        keep_editing(
            testbed,
            say,
            authorize_security_group_ingress(**rule),
            run_instances(instances=["more"], subnet="rack", security_groups=["app"]),
            create_network_acl_entry(
                **entry, protocol="17", rule_action="deny", cidr_block="192.168.78.0/24"
            ),
            modify_region_link(delay="3ms"),
            revoke_security_group_ingress(**rule),
            terminate_instances(instances=["more"]),
            delete_network_acl_entry(**entry),
            modify_region_link(delay="2ms"),
        )
    assert dropped(testbed) == before


def dropped(testbed: Testbed) -> int:
    """How many packets the default security group has let nobody get."""
    ruleset = testbed.client.observe(["op.vpc-app"])["op.vpc-app"]["nftables"]
    found = re.findall(
        r"counter packets (\d+) bytes \d+ drop comment \"no ingress rule of security group default",
        ruleset,
    )
    return sum(map(int, found))


@pytest.mark.topology("topologies/coip.yaml")
def test_an_address_translation(testbed: Testbed) -> None:
    """A connection to a customer-owned IP address, while others come and go beside it."""
    with connected(testbed, "desk", "172.20.0.2") as say:
        keep_editing(
            testbed,
            say,
            run_instances(instances=["more"], subnet="public"),
            run_instances(instances=["quiet"], subnet="private"),
            terminate_instances(instances=["more"]),
            terminate_instances(instances=["quiet"]),
            edits=EDITS // 4,
        )
