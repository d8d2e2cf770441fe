"""What is legal in a topology, and most likely not meant."""

from __future__ import annotations

import pytest

from testbed.topology import loads
from testbed.topology.rules.advice import advice

TWO_PLACES = """
testbed: 1
name: t
region: {{name: us-west-2, zones: [us-west-2a, us-west-2b]}}
vpcs: {{v: {{cidr: 10.1.0.0/16, subnets: {{n: {{cidr: 10.1.1.0/24, outpost: n}}}}}}}}
outposts:
  n: {{zone: us-west-2a, devices: [n1, n2], local_gateway: {{asn: {racks[0]}}}}}
  s: {{zone: us-west-2b, devices: [s1, s1], local_gateway: {{asn: {racks[1]}}}}}
site:
  devices: {{n1: {{asn: {sites[0]}}}, n2: {{asn: {sites[0]}}}, s1: {{asn: {sites[1]}}}}}
  {wan}
"""


def said(sites: tuple[int, int], racks: tuple[int, int], wan: str = "wan: {}") -> list[str]:
    return advice(loads(TWO_PLACES.format(sites=sites, racks=racks, wan=wan)))


@pytest.mark.parametrize(
    ("sites", "racks", "about"),
    [
        (
            (64900, 64900),
            (64801, 64802),
            ["n1, n2, s1 are in different places, but all have AS 64900"],
        ),
        ((64900, 64901), (64801, 64801), ["the local gateways of n, s all have AS 64801"]),
        ((64900, 64901), (64801, 64802), []),
    ],
)
def test_one_number_in_two_places(
    sites: tuple[int, int], racks: tuple[int, int], about: list[str]
) -> None:
    found = said(sites, racks)
    assert len(found) == len(about)
    assert all(text.startswith(wanted) for text, wanted in zip(found, about, strict=True))


def test_without_a_wan_nothing_is_refused() -> None:
    assert not said((64900, 64900), (64801, 64801), wan="region_link: {}")
