"""DNS in VPCs: private names, hosted zones, and what is left when the service link is down."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from scapy.layers.inet import IP, UDP

from testbed.testing import Node, Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/dns-disconnected.yaml")]

RESOLVER, LINK_LOCAL = "10.77.0.2", "169.254.169.253"
A, B, C = "10.77.7.4", "10.77.11.50", "10.77.1.4"
ASK = """
import json, socket, struct, sys
server, name, kind = sys.argv[1:]
labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
head, tail = struct.pack("!6H", 4711, 0x0100, 1, 0, 0, 0), struct.pack("!2H", int(kind), 1)
query = head + labels + b"\\0" + tail
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(3)
sock.connect((server, 53))
said = {"error": "not asked"}
for attempt in range(3):  # as a resolver library does
    try:
        sock.send(query)
        answer = sock.recv(4096)
        flags, _, answers = struct.unpack("!3H", answer[2:8])
        said = {"code": flags & 15, "answers": answers, "data": answer.hex()}
        break
    except OSError as error:
        said = {"error": str(error)}
print(json.dumps(said))
"""
ADDRESS, POINTER = 1, 12
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3


def ask(node: Node, name: str, *, server: str = RESOLVER, kind: int = ADDRESS) -> dict[str, object]:
    """Ask a server one question. Returns the response code and the answer, or the error."""
    text = node.run(["python3", "-c", ASK, server, name, str(kind)]).text
    answer: dict[str, object] = json.loads(text)
    return answer


def has(answer: dict[str, object], address: str) -> bool:
    """Whether an answer has the address."""
    packed = "".join(f"{int(part):02x}" for part in address.split("."))
    return answer.get("code") == NO_ERROR and packed in str(answer["data"])


def resolved(node: Node, name: str) -> str:
    """The address that the node's own resolver library finds, by its resolv.conf."""
    done = node.run(["getent", "ahostsv4", name], check=False)
    return done.text.split()[0] if done.returncode == 0 else ""


@pytest.fixture
def cut(testbed: Testbed) -> Iterator[None]:
    """The service link of both Outposts is cut at the Region's edge."""
    edge = testbed["region.edge"]
    interfaces = [f"cust-cnd{number}" for number in range(1, 5)]
    for interface in interfaces:
        edge.run(["ip", "link", "set", interface, "down"])
    try:
        testbed.eventually(lambda: testbed["a"].ping(C, count=1).received == 0)
        yield
    finally:
        for interface in interfaces:
            edge.run(["ip", "link", "set", interface, "up"])
        testbed.eventually(lambda: not testbed.problems(), timeout=120)


@pytest.mark.parametrize("node", ["a", "b", "c"])
@pytest.mark.parametrize("server", [RESOLVER, LINK_LOCAL])
def test_private_names_resolve_everywhere(testbed: Testbed, node: str, server: str) -> None:
    """Instances' private names both ways, and a hosted zone's (facts: V vpc-dns)."""
    asker = testbed[node]
    for address in (A, B, C):
        name = f"ip-{address.replace('.', '-')}.us-west-2.compute.internal"
        assert has(ask(asker, name, server=server), address)
    reverse = ".".join(reversed(B.split("."))) + ".in-addr.arpa"
    answer = ask(asker, reverse, server=server, kind=POINTER)
    assert b"ip-10-77-11-50" in bytes.fromhex(str(answer["data"]))
    assert has(ask(asker, "www.corp.internal", server=server), B)
    assert ask(asker, "nothing.corp.internal", server=server)["code"] == NO_SUCH_NAME


def test_instances_use_it_by_their_resolv_conf(testbed: Testbed) -> None:
    """What the DHCP option set says: the server, and the domain that completes names."""
    for node in ("a", "b", "c"):
        assert resolved(testbed[node], "db") == B
        assert resolved(testbed[node], "ip-10-77-1-4.us-west-2.compute.internal") == C


def test_questions_cross_the_service_link(testbed: Testbed) -> None:
    with testbed["region.dns-app"].capture(filter="udp port 53") as seen:
        ask(testbed["a"], "db.corp.internal")
        ask(testbed["b"], "db.corp.internal")
    questions = [p[IP].src for p in seen.packets if UDP in p and p[UDP].dport == 53]
    assert A in questions
    assert B not in questions


def test_the_customer_cannot_use_it(testbed: Testbed) -> None:
    """The resolver answers the VPC's own interfaces only (facts: V vpc-dns)."""
    gateway = testbed["op-a.lgw"]
    gateway.run(["ip", "route", "add", RESOLVER, "via", "100.104.2.3"], check=False)
    with (
        testbed["op-a.vpc-app"].capture("lgw", "udp port 53") as comes,
        testbed["region.dns-app"].capture(filter="udp port 53") as seen,
    ):
        assert "error" in ask(gateway, "db.corp.internal")
    assert comes.packets
    assert not seen.packets


def test_without_the_service_link_only_the_outposts_resolver_answers(
    testbed: Testbed, cut: None
) -> None:
    a, b = testbed["a"], testbed["b"]
    assert "error" in ask(a, "db.corp.internal")
    assert resolved(a, "db") == ""
    assert has(ask(b, "db.corp.internal"), B)
    assert resolved(b, "db") == B
    # Never asked before: the answer is from the zone, not from the cache.
    assert ask(b, "not-asked-before.corp.internal")["code"] == NO_SUCH_NAME
    assert b.http("http://b/").status == 200
