"""Ways follow the routes that packets follow."""

from __future__ import annotations

import pytest

from testbed.conformance.test_routing import checked_address, sample
from testbed.conformance.ways import Way, Ways
from testbed.topology import loads

SITE = """
testbed: 1
name: ways
region: {name: us-west-2}
vpcs:
  app:
    cidr: 10.77.0.0/16
    subnets:
      rack: {cidr: 10.77.7.0/24, outpost: op}
      cloud: {cidr: 10.77.1.0/24}
      inspection: {cidr: 10.77.9.0/24}
    virtual_private_gateway: {asn: 64901}
    route_tables:
      main: {}
      cloud: {subnets: [cloud], routes: [{destination: 10.77.0.0/16, target: wall.instance}]}
      rack:
        subnets: [rack]
        propagate: true
        routes: [{destination: 0.0.0.0/0, target: op.local-gateway}]
outposts:
  op:
    local_gateway:
      routes:
        - {destination: 0.0.0.0/0}
        - {destination: 10.77.0.0/16, target: edge.network-interface}
site:
  devices: {cnd1: {}, cnd2: {}}
  direct_connect: {dx: {device: cnd1, private_vif: {virtual_private_gateway: app}}}
  segments: {office: {cidr: 192.168.10.0/24, devices: [cnd1]}}
  hosts: {desk: {segment: office}}
instances:
  a: {subnet: cloud}
  near: {subnet: cloud}
  b: {subnet: inspection}
  wall: {subnet: inspection}
  web: {subnet: rack}
  edge: {subnet: rack}
"""
EQUAL = SITE.replace("destination: 0.0.0.0/0, target", "destination: 192.168.10.0/24, target")
FORWARDING = SITE.replace(
    "wall: {subnet: inspection", "wall: {source_destination_check: false, subnet: inspection"
)
STOPPED = FORWARDING.replace("wall: {", "wall: {state: stopped, ")


def way(text: str, source: str, destination: str) -> Way | None:
    ways = Ways(loads(text))
    return ways.way(ways.end(source), ways.end(destination))


def kind(text: str, source: str, destination: str) -> tuple[str, int | None]:
    found = way(text, source, destination)
    return (found.kind, found.mtu) if found else ("none", None)


def leads_nowhere(text: str, source: str, destination: str) -> bool:
    ways = Ways(loads(text))
    return ways.leads_nowhere(ways.end(source), ways.end(destination).address)


def test_a_route_to_the_whole_vpc_replaces_the_local_route() -> None:
    assert kind(SITE, "a", "b") == kind(SITE, "b", "a") == ("none", None)
    assert leads_nowhere(SITE, "a", "b")
    assert not leads_nowhere(SITE, "b", "a")
    assert leads_nowhere(STOPPED, "a", "b")


def test_an_appliance_may_forward_what_the_replaced_local_route_leads_to_it() -> None:
    assert kind(FORWARDING, "a", "b") == kind(FORWARDING, "b", "a") == ("other", None)


@pytest.mark.parametrize("pair", [("a", "wall"), ("wall", "a"), ("a", "near"), ("wall", "b")])
def test_what_the_replaced_local_route_does_not_change(pair: tuple[str, str]) -> None:
    assert kind(SITE, *pair) == ("inside", 9001)


def test_a_longer_propagated_prefix_leads_another_way() -> None:
    """There by Direct Connect, back by the local gateway: each way has a path MTU of its own."""
    assert kind(SITE, "web", "desk") == ("other", 1300)
    assert kind(SITE, "desk", "web") == ("other", 1500)


def test_a_static_route_beats_an_equal_propagated_one() -> None:
    assert kind(EQUAL, "web", "desk") == kind(EQUAL, "desk", "web") == ("local-gateway", 1500)


def test_an_announced_prefix_beats_a_shorter_route_to_an_interface() -> None:
    equal = EQUAL.replace(
        "destination: 10.77.0.0/16, target: edge", "destination: 10.77.7.0/24, target: edge"
    )
    assert kind(equal, "desk", "web") == ("none", None)
    assert kind(equal, "desk", "edge") == ("local-gateway", 1500)


def sampled(text: str) -> object:
    """What is sent by the route to the appliance."""
    topology = loads(text)
    vpc = topology.vpcs["app"]
    table = vpc.table_of("cloud")
    own = topology.subnet("app", "cloud").cidr
    return sample(vpc, table, table.routes[0], own, checked_address(topology, table.routes[0]))


def test_an_interface_with_its_check_is_sent_its_own_packets_only() -> None:
    assert str(sampled(SITE)) == "10.77.9.5"
    assert str(sampled(FORWARDING)) == "10.77.255.254"


def test_no_route_is_tried_inside_the_senders_own_subnet() -> None:
    own = FORWARDING.replace("10.77.0.0/16, target: wall", "10.77.1.0/24, target: wall")
    assert sampled(own) is None


HUB = """
testbed: 1
name: hub
region:
  name: us-west-2
  transit_gateways: {hub: {attachments: {app: {vpc: app}, data: {vpc: data}}}}
vpcs:
  app:
    cidr: 10.1.0.0/16
    subnets: {rack: {cidr: 10.1.7.0/24, outpost: op}, cloud: {cidr: 10.1.1.0/24}}
    route_tables: {main: {routes: [{destination: 10.2.0.0/16, target: hub.transit-gateway}]}}
  data:
    cidr: 10.2.0.0/16
    subnets: {data: {cidr: 10.2.1.0/24}}
    route_tables: {main: {routes: [{destination: 10.1.0.0/16, target: hub.transit-gateway}]}}
outposts: {op: {}}
site:
  devices: {cnd1: {}, cnd2: {}}
instances: {web: {subnet: rack}, near: {subnet: cloud}, db: {subnet: data}}
"""
ANNOUNCED = HUB.replace(
    "main: {routes: [{destination: 10.2.0.0/16, target: hub.transit-gateway}]",
    "rack: {subnets: [rack], routes: [{destination: 10.2.0.0/16, target: hub.transit-gateway},"
    " {destination: 0.0.0.0/0, target: op.local-gateway}]",
)
DIRECT = "cnd2: {}}\n  direct_connect: {dx: {device: cnd1, transit_vif: {transit_gateway: hub}}}"


def test_what_the_customer_announces_to_a_transit_gateway_may_be_a_longer_prefix() -> None:
    for text, kind in (
        (HUB, "transit"),
        (HUB.replace("cnd2: {}}", DIRECT), "transit"),  # the rack's subnet is not announced
        (ANNOUNCED, "transit"),
        (ANNOUNCED.replace("cnd2: {}}", DIRECT), "other"),
    ):
        ways = Ways(loads(text))
        way = ways.way(ways.end("db"), ways.end("web"))
        assert way is not None
        assert way.kind == kind, text
