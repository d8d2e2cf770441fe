"""What AWS's rules say of packets by routes that lead to network interfaces."""

from __future__ import annotations

import pytest

from testbed.predict import World
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


def reason(text: str, source: str, destination: str) -> str:
    """Why a ping is not answered; empty if it is."""
    world = World(loads(text))
    ends = {end.name: end for end in world.endpoints()}
    verdict = world.verdict(ends[source], ends[destination].address, "icmp")
    assert verdict.answered is not None
    return verdict.reason


@pytest.mark.parametrize("pair", [("a", "wall"), ("wall", "a"), ("web", "wall"), ("wall", "web")])
def test_an_interface_gets_its_own_packets_by_a_route_to_it(pair: tuple[str, str]) -> None:
    assert not reason(WALL, *pair)


def test_others_packets_by_a_route_to_it_need_its_check_off() -> None:
    assert reason(WALL, "a", "b") == "source/destination check of wall"
    assert reason(WALL, "b", "a") == "the answer: source/destination check of wall"


def test_a_route_to_what_does_not_run_is_a_blackhole() -> None:
    stopped = WALL.replace("wall: {", "wall: {state: stopped, ")
    assert reason(stopped, "a", "b") == "the route to wall is a blackhole"
