"""What AWS's rules say of packets by the routes of VPCs and local gateways."""

from __future__ import annotations

from dataclasses import replace

import pytest

from testbed.predict import Journey, Packet, Verdict, World
from testbed.topology import loads

WALL = """
testbed: 1
name: wall
region: {name: us-west-2}
vpcs:
  app:
    cidr: 10.77.0.0/16
    subnets:
      cloud: {cidr: 10.77.1.0/24}
      inspection: {cidr: 10.77.9.0/24}
      rack: {cidr: 10.77.7.0/24, outpost: op}
    route_tables:
      walled:
        subnets: [cloud, rack]
        routes: [{destination: 10.77.0.0/16, target: wall.instance}]
outposts: {op: {}}
instances:
  a: {subnet: cloud}
  near: {subnet: cloud}
  web: {subnet: rack}
  b: {subnet: inspection}
  wall: {subnet: inspection}
"""

LEARNED = """
testbed: 1
name: learned
region: {name: us-west-2}
vpcs:
  app:
    cidr: 10.77.0.0/16
    subnets:
      rack: {cidr: 10.77.7.0/24, outpost: op}
      cloud: {cidr: 10.77.1.0/24}
    virtual_private_gateway: {asn: 64901}
    route_tables:
      rack:
        subnets: [rack]
        propagate: true
        routes: [{destination: 0.0.0.0/0, target: op.local-gateway}]
outposts: {op: {}}
site:
  devices: {cnd1: {}, cnd2: {}}
  direct_connect: {dx: {device: cnd1, private_vif: {virtual_private_gateway: app}}}
  segments: {office: {cidr: 192.168.10.0/24, devices: [cnd1]}}
  hosts: {desk: {segment: office}}
instances: {web: {subnet: rack}, db: {subnet: cloud}}
"""

HUB = """
testbed: 1
name: hub
region:
  name: us-west-2
  zones: [us-west-2a]
  internet: {hosts: {www: {}}}
  transit_gateways:
    hub:
      attachments: {near: {vpc: app}, far: {vpc: data}}
      route_tables:
        main: {associations: [near], propagations: [far, dx]}
        far: {associations: [far, dx], propagations: [near, far, dx]}
vpcs:
  app:
    cidr: 10.77.0.0/16
    subnets:
      rack: {cidr: 10.77.7.0/24, outpost: op}
      cloud: {cidr: 10.77.1.0/24}
    internet_gateway: true
    nat_gateways: {nat: {subnet: cloud}}
    route_tables:
      main: {routes: [{destination: 0.0.0.0/0, target: internet-gateway}]}
      rack:
        subnets: [rack]
        routes:
          - {destination: 192.0.2.0/24, target: nat.nat-gateway}
          - {destination: 10.78.0.0/16, target: hub.transit-gateway}
  data:
    cidr: 10.78.0.0/16
    subnets: {main: {cidr: 10.78.1.0/24}}
    route_tables: {main: {routes: [{destination: 0.0.0.0/0, target: hub.transit-gateway}]}}
outposts: {op: {zone: us-west-2a}}
site:
  devices: {cnd1: {}, cnd2: {}}
  direct_connect: {dx: {device: cnd1, transit_vif: {transit_gateway: hub}}}
  segments: {office: {cidr: 192.168.10.0/24, devices: [cnd1]}}
  hosts: {desk: {segment: office}}
instances: {web: {subnet: rack}, other: {subnet: data/main}}
"""

INWARD = """
testbed: 1
name: inward
region: {name: us-west-2}
vpcs:
  app:
    cidr: 10.77.0.0/16
    subnets:
      rack: {cidr: 10.77.7.0/24, outpost: op}
      inspected: {cidr: 10.77.8.0/24, outpost: op}
    route_tables:
      main: {routes: [{destination: 192.168.10.0/24, target: op.local-gateway}]}
outposts:
  op:
    local_gateway:
      routes:
        - {destination: 0.0.0.0/0}
        - {destination: 10.77.0.0/16, target: wall.network-interface}
        - {destination: 10.77.8.0/24, target: wall.network-interface}
site:
  segments: {office: {cidr: 192.168.10.0/24, devices: [cnd1, cnd2]}}
  hosts: {desk: {segment: office}}
instances:
  web: {subnet: rack}
  inner: {subnet: inspected}
  wall: {subnet: inspected}
"""


def reason(text: str, source: str, destination: str) -> str:
    """Why a ping is not answered; empty if it is."""
    said = verdict(text, source, destination)
    assert said.answered is not None
    return said.reason


def arrival(text: str, source: str, destination: str) -> Journey:
    """How a ping arrives."""
    world = World(loads(text))
    ends = {end.name: end for end in world.endpoints()}
    packet = Packet.request(ends[source].address, ends[destination].address, "icmp", 0)
    at, journey = world.follow(ends[source].at, Journey(packet))
    assert at == ends[destination].at
    return journey


def verdict(text: str, source: str, destination: str) -> Verdict:
    """What the rules say of a ping."""
    world = World(loads(text))
    ends = {end.name: end for end in world.endpoints()}
    return world.verdict(ends[source], ends[destination].address, "icmp")


@pytest.mark.parametrize("pair", [("a", "wall"), ("wall", "a"), ("web", "wall"), ("wall", "web")])
def test_an_interface_gets_its_own_packets_by_a_route_to_it(pair: tuple[str, str]) -> None:
    assert not reason(WALL, *pair)


def test_others_packets_by_a_route_to_it_need_its_check_off() -> None:
    assert reason(WALL, "a", "b") == "source/destination check of wall"
    assert reason(WALL, "b", "a") == "the answer: source/destination check of wall"


def test_a_route_to_what_does_not_run_is_a_blackhole() -> None:
    stopped = WALL.replace("wall: {", "wall: {state: stopped, ")
    assert reason(stopped, "a", "b") == "the route to wall is a blackhole"


def test_what_stays_in_its_subnet_follows_no_route() -> None:
    assert not reason(WALL, "a", "near")


def test_a_longer_prefix_is_propagated() -> None:
    """The office's is connected to the device of the virtual interface, and is longer."""
    assert arrival(LEARNED, "web", "desk").way == "direct-connect"
    static = LEARNED.replace("0.0.0.0/0", "192.168.10.0/24")
    assert arrival(static, "web", "desk").way == "local-gateway"


def test_a_longer_prefix_may_be_propagated() -> None:
    """The office's may come to the device of the virtual interface from the other one."""
    text = LEARNED.replace("devices: [cnd1]", "devices: [cnd2]")
    linked = text.replace("  segments:", "  links: [{devices: [cnd1, cnd2]}]\n  segments:")
    assert verdict(linked, "web", "desk").answered is None


@pytest.mark.parametrize(
    ("pair", "way", "crosses"),
    [
        (("web", "other"), "transit", True),
        (("other", "web"), "transit", True),
        (("desk", "other"), "direct-connect", False),
        (("other", "desk"), "direct-connect", False),
        (("web", "www"), "internet", True),
    ],
)
def test_ways_through_the_region(pair: tuple[str, str], way: str, *, crosses: bool) -> None:
    came = arrival(HUB, *pair)
    assert (came.way, came.crosses) == (way, crosses)
    assert not reason(HUB, *pair)


def test_what_the_region_does_not_forward() -> None:
    assert (
        reason(HUB, "desk", "web") == "the answer: route table rack has no route to 192.168.10.10"
    )
    cut = HUB.replace("propagations: [far, dx]", "propagations: [dx]")
    lacks = "transit gateway route table main has no route to 10.78.1.4"
    assert reason(cut, "web", "other") == lacks
    deleted = HUB.replace("nat: {subnet: cloud}", "nat: {subnet: cloud, state: deleted}")
    assert reason(deleted, "web", "www") == "the route to nat.nat-gateway is a blackhole"


def test_nobody_outside_opens_a_connection_through_a_nat_gateway() -> None:
    world = World(loads(HUB))
    nat = next(i for i in world.topology.network_interfaces.values() if i.requester)
    www = next(end for end in world.endpoints() if end.name == "www")
    said = world.verdict(www, nat.elastic_ips[0][1], "icmp")
    assert said.reason == f"{nat.name} translates addresses, and knows no such connection"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("destination: 0.0.0.0/0", "destination: 192.168.10.0/24"),  # static beats propagated
        ("direct_connect: {dx", "x-none: {dx"),  # nothing to learn from
        ("propagate: true", "propagate: false"),
    ],
)
def test_a_static_route_leads_where_no_longer_prefix_is_propagated(old: str, new: str) -> None:
    lines = LEARNED.replace(old, new).splitlines()
    text = "\n".join(line for line in lines if "x-none" not in line)
    assert not reason(text, "web", "desk")


def test_nothing_propagated_leads_into_the_vpc() -> None:
    assert not reason(LEARNED, "web", "db")


def test_what_a_device_of_the_customers_own_configuration_announces_is_not_known() -> None:
    """It may be longer than a static route for the segment."""
    text = LEARNED.replace("0.0.0.0/0", "192.168.10.0/24")
    assert not reason(text, "web", "desk")
    topology = loads(text)
    own, other = topology.site.devices
    devices = (replace(own, config="protocol device {}"), other)
    topology = replace(topology, site=replace(topology.site, devices=devices))
    world = World(topology)
    web, desk = (next(e for e in world.endpoints() if e.name == name) for name in ("web", "desk"))
    assert world.verdict(web, desk.address, "icmp").answered is None


def test_the_longest_prefix_leads_into_a_local_gateway() -> None:
    """An announced subnet's before a shorter static route, a static one of two equal ones."""
    assert not reason(INWARD, "desk", "web")
    assert not reason(INWARD, "desk", "wall")
    assert reason(INWARD, "desk", "inner") == "source/destination check of wall"


ROUND = """
testbed: 1
name: round
region:
  name: us-west-2
  zones: [us-west-2a]
  internet: {hosts: {www: {services: [http]}}}
vpcs:
  vpc1:
    cidr: 10.1.0.0/16
    subnets: {s1: {cidr: 10.1.10.0/24, outpost: op-a}}
    route_tables: {main: {routes: [{destination: 0.0.0.0/0, target: op-a.local-gateway}]}}
  vpc2:
    cidr: 10.2.0.0/16
    subnets: {s2: {cidr: 10.2.10.0/24, outpost: op-a}}
    route_tables: {main: {routes: [{destination: 0.0.0.0/0, target: op-a.local-gateway}]}}
outposts: {op-a: {devices: [cnd1, cnd2]}}
site:
  devices: {cnd1: {}, cnd2: {}}
  internet: {devices: [cnd1]}
instances: {one: {subnet: vpc1/s1}, two: {subnet: vpc2/s2}}
"""


def test_a_default_route_turns_packets_round_at_the_customer() -> None:
    """A local gateway learns none of its own prefixes, but a default route covers them."""
    assert not reason(ROUND, "one", "two")
    alone = ROUND.replace("  internet: {devices: [cnd1]}\n", "")
    assert "does not turn packets round" in reason(alone, "one", "two")
