"""Gateway and interface endpoints, used from a rack and out of the customer's reach."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP

from testbed.errors import NetworkError
from testbed.testing import Node, Testbed

pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/vpc-endpoints.yaml")]

S3, EC2, LOGS = "198.51.100.21", "10.77.1.254", "10.77.7.254"
APP = "10.77.7.4"


def client_of(node: Node, url: str) -> str:
    """The address that the server at `url` sees; nothing when it does not answer."""
    try:
        return node.http(url, timeout_s=2).text.split("client ")[1].split(":")[0]
    except NetworkError:
        return ""


def test_a_gateway_endpoint_is_for_the_tables_that_it_names(testbed: Testbed) -> None:
    """The service sees the private address; the other table has no route (facts: W, V)."""
    with testbed["op.vpc-app"].capture("sl", f"tcp and host {APP}") as crossing:
        assert client_of(testbed["app"], f"http://{S3}/") == APP
    assert {packet[IP].dst for packet in crossing.packets} == {S3, APP}
    assert client_of(testbed["plain"], f"http://{S3}/") == ""
    rows = {(row["route_table"], row["destination"]): row for row in status(testbed)}
    assert rows["rack", "com.amazonaws.us-west-2.s3"]["target"] == "s3.vpc-endpoint"
    assert ("rack-plain", "com.amazonaws.us-west-2.s3") not in rows


def status(testbed: Testbed) -> list[dict[str, str]]:
    """The routes of all route tables, as status has them."""
    rows: list[dict[str, str]] = testbed.status()["route_tables"]
    assert {row["state"] for row in rows} == {"active"}
    return rows


@pytest.mark.parametrize("address", [EC2, LOGS])
def test_an_interface_endpoint_answers_over_the_service_link(
    testbed: Testbed, address: str
) -> None:
    """Also the one whose subnet is on the Outpost (facts: H3)."""
    with testbed["op.vpc-app"].capture("sl", "tcp port 443") as crossing:
        assert client_of(testbed["plain"], f"http://{address}:443/") == "10.77.8.4"
    assert crossing.packets


@pytest.mark.parametrize("address", [EC2, LOGS])
def test_an_interface_endpoint_has_security_groups(testbed: Testbed, address: str) -> None:
    """Port 443 only, for members of one group only."""
    assert client_of(testbed["plain"], f"http://{address}/") == ""
    assert client_of(testbed["stranger"], f"http://{address}:443/") == ""


def test_the_customer_reaches_instances_but_no_endpoint(testbed: Testbed) -> None:
    """Requester-managed interfaces are out of the local gateway's reach (facts: L2)."""
    desk = testbed["desk"]
    assert client_of(desk, f"http://{APP}/") == desk.address
    with testbed["op.vpc-app"].capture("sl", f"host {desk.address}") as crossing:
        for address in (LOGS, EC2, S3):
            assert client_of(desk, f"http://{address}:443/") == ""
    assert not crossing.packets


def test_without_the_service_link_no_endpoint_answers(testbed: Testbed) -> None:
    node = testbed["op.sl"]
    tunnels = ("wg1", "wg2")
    try:
        for tunnel in tunnels:
            node.run(["ip", "link", "set", tunnel, "down"])
        for address in (LOGS, EC2, S3):
            assert client_of(testbed["app"], f"http://{address}:443/") == ""
        assert client_of(testbed["desk"], f"http://{APP}/") == testbed["desk"].address
    finally:
        for tunnel in tunnels:
            node.run(["ip", "link", "set", tunnel, "up"])


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("ec2.us-west-2.amazonaws.com", EC2),
        ("logs.us-west-2.amazonaws.com", LOGS),
        ("vpce-app-ec2.ec2.us-west-2.vpce.amazonaws.com", EC2),
        ("s3.us-west-2.amazonaws.com", S3),
        ("sqs.us-west-2.amazonaws.com", None),
    ],
)
def test_names_lead_to_endpoints(testbed: Testbed, name: str, address: str | None) -> None:
    """Private DNS: the service's own name leads to the endpoint (facts: V vpc-dns)."""
    done = testbed["app"].run(["getent", "ahostsv4", name], check=False)
    assert (done.text.split()[0] if done.returncode == 0 else None) == address
