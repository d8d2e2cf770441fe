"""The instance metadata service, on packets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import IP

from testbed.testing import Node, Testbed

TOPOLOGY = Path(__file__).with_name("interfaces.yaml")
pytestmark = [pytest.mark.packets, pytest.mark.topology(str(TOPOLOGY))]

URL = "http://169.254.169.254/latest"
HEADER = "X-aws-ec2-metadata-token"


def curl(node: Node, *argv: str) -> str:
    """What curl wrote: the body, a line break, the status (000: nobody answered)."""
    command = ["curl", "-s", "-m", "2", "-w", "\n%{http_code}", *argv]
    return str(node.run(command, check=False).text)


def session(node: Node, *argv: str) -> str:
    """A session token of the node's."""
    ttl = f"{HEADER}-ttl-seconds: 600"
    body, _, status = curl(node, "-X", "PUT", "-H", ttl, *argv, f"{URL}/api/token").rpartition("\n")
    assert status == "200"
    return body


def get(node: Node, path: str, *argv: str) -> str:
    """What the node reads at `path` with a token of its own."""
    header = f"{HEADER}: {session(node, *argv)}"
    body, _, status = curl(node, *argv, "-H", header, f"{URL}/{path}").rpartition("\n")
    assert status == "200", path
    return body


def test_an_instance_reads_what_it_is(testbed: Testbed) -> None:
    client = testbed["client"]
    assert get(client, "meta-data/local-ipv4") == client.address
    assert get(client, "meta-data/instance-type") == "m5.xlarge"
    assert get(client, "meta-data/placement/availability-zone") == "us-west-2a"
    arn = get(client, "meta-data/placement/outpost-arn")
    assert arn == get(client, "meta-data/outpost-arn")
    assert arn.startswith("arn:aws:outposts:us-west-2:")
    assert "outpost-arn" not in get(testbed["appliance"], "meta-data/").split()
    document = json.loads(get(client, "dynamic/instance-identity/document"))
    assert document["instanceId"] == get(client, "meta-data/instance-id")
    assert len({get(testbed[name], "meta-data/instance-id") for name in ("client", "plain")}) == 2


def test_every_interface_is_listed(testbed: Testbed) -> None:
    firewall = testbed["firewall"]
    macs = get(firewall, "meta-data/network/interfaces/macs/").split()
    links = json.loads(firewall.run(["ip", "-json", "link"]).text)
    assert sorted(macs) == sorted(f"{e['address']}/" for e in links if e["ifname"] != "lo")
    numbers = {
        get(firewall, f"meta-data/network/interfaces/macs/{mac}device-number") for mac in macs
    }
    assert numbers == {"0", "1"}


def test_the_status_codes_are_those_of_imdsv2(testbed: Testbed) -> None:
    client, plain = testbed["client"], testbed["plain"]
    assert curl(client, f"{URL}/meta-data/").endswith("\n401")
    foreign = f"{HEADER}: {session(plain)}"
    assert curl(client, "-H", foreign, f"{URL}/meta-data/").endswith("\n401")
    own = f"{HEADER}: {session(client)}"
    assert curl(client, "-H", own, f"{URL}/meta-data/iam/info").endswith("\n404")
    ttl = f"{HEADER}-ttl-seconds: 21601"
    assert curl(client, "-X", "PUT", "-H", ttl, f"{URL}/api/token").endswith("\n400")
    assert curl(client, "-X", "PUT", f"{URL}/api/token").endswith("\n400")
    proxied = ("-H", f"{HEADER}-ttl-seconds: 60", "-H", "X-Forwarded-For: 192.0.2.1")
    assert curl(client, "-X", "PUT", *proxied, f"{URL}/api/token").endswith("\n403")
    assert curl(testbed["spare"], f"{URL}/meta-data/instance-type").endswith("\n200")  # IMDSv1
    assert curl(testbed["server"], f"{URL}/meta-data/").endswith("\n403")  # disabled


def test_a_token_goes_one_hop(testbed: Testbed) -> None:
    client = testbed["client"]
    with client.capture(
        filter="tcp port 80 and src host 169.254.169.254 and tcp[13] & 8 != 0"
    ) as seen:
        session(client)
    assert {packet[IP].ttl for packet in seen.packets} == {1}
    with client.capture(
        filter="tcp port 80 and src host 169.254.169.254 and tcp[13] & 8 != 0"
    ) as seen:
        curl(client, f"{URL}/meta-data/")
    assert {packet[IP].ttl for packet in seen.packets} == {64}


def test_only_an_interfaces_own_address_gets_an_answer(testbed: Testbed) -> None:
    firewall = testbed["firewall"]  # its interfaces may send from any address
    firewall.run(["ip", "address", "add", "10.1.1.99/32", "dev", "lo"])
    try:
        assert curl(firewall, "--interface", "10.1.1.99", f"{URL}/").endswith("\n000")
    finally:
        firewall.run(["ip", "address", "del", "10.1.1.99/32", "dev", "lo"])
    assert get(firewall, "meta-data/local-ipv4") == firewall.address


@pytest.fixture
def cut(testbed: Testbed) -> Iterator[None]:
    """The service link is cut at the Region's edge."""
    edge, interfaces = testbed["region.edge"], ("cust-cnd1", "cust-cnd2")
    for interface in interfaces:
        edge.run(["ip", "link", "set", interface, "down"])
    try:
        testbed.eventually(lambda: not testbed["client"].ping("appliance", count=1).received)
        yield
    finally:
        for interface in interfaces:
            edge.run(["ip", "link", "set", interface, "up"])
        testbed.eventually(lambda: not testbed.problems(), timeout=120)


@pytest.mark.usefixtures("cut")
def test_it_answers_while_the_service_link_is_down(testbed: Testbed) -> None:
    assert get(testbed["client"], "meta-data/local-ipv4") == testbed["client"].address


def test_a_session_outlives_a_change(testbed: Testbed, tmp_path: Path) -> None:
    client = testbed["client"]
    header = f"{HEADER}: {session(client)}"
    file = tmp_path / "changed.yaml"
    file.write_text(TOPOLOGY.read_text().replace("m5.xlarge", "m5.2xlarge"))
    testbed.apply(file, wait=False)
    assert curl(client, "-H", header, f"{URL}/meta-data/instance-type") == "m5.2xlarge\n200"
