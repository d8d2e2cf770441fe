"""The form of a declared fault."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from testbed.topology.schema.base import Form
from testbed.topology.values import Name

Value = str | int | float
Text = Annotated[str, Field(min_length=1, max_length=100)]


def _of(kinds: str, what: str) -> Value | None:
    """A parameter of some kinds of faults; `testbed fault KIND --help` says what it may be."""
    value: Value | None = Field(None, description=f"{what} ({kinds}).")
    return value


class FaultForm(Form):
    """A fault, injected on purpose (docs/faults.md).

    Its parameters are checked against its kind once there is a plan
    (`testbed.lower.faults`).
    """

    kind: Text = Field(description="Its kind: one of those that testbed fault --list shows.")
    target: Text = Field(description="Its target: NODE, NODE:INTERFACE, OUTPOST or OUTPOST.lagN.")
    name: Name | None = Field(None, description="Its name, for testbed heal.")
    at: Value | None = Field(
        None, description="When it begins, after the testbed is ready: 30s, 1m30s."
    )
    lasts: Value | None = Field(None, alias="for", description="How long it lasts: 500ms, 5s.")
    every: Value | None = Field(
        None, description="How often it repeats, from one beginning to the next."
    )
    delay: Value | None = _of("impair, service-link-slow", "The added one-way delay")
    jitter: Value | None = _of("impair, service-link-slow", "How much the delay varies")
    loss: Value | None = _of("impair, service-link-slow", "Random loss, such as 1%")
    reorder: Value | None = _of("impair", "The share of packets that overtake others")
    duplicate: Value | None = _of("impair", "The share of packets that arrive twice")
    rate: Value | None = _of("impair, service-link-slow", "The highest rate, such as 10M")
    ends: Value | None = _of("impair, mtu", "one, or both ends of the cable, LAG or VLAN")
    mtu: Value | None = _of("mtu", "The MTU in bytes")
    vid: Value | None = _of("vlan-wrong", "The wrong VID")
    side: Value | None = _of("bgp-wrong-asn", "Whose AS number is wrong: remote or local")
    asn: Value | None = _of("bgp-wrong-asn", "The wrong AS number")
    prefix: Value | None = _of("route-withdrawn, route-leaked", "The prefix")
    protocol: Value | None = _of("firewall", "The packets' protocol: tcp, udp or icmp")
    port: Value | None = _of("firewall", "Their destination port, or a range of ports")
    source: Value | None = _of("firewall", "Their source: an address or CIDR block")
    destination: Value | None = _of(
        "firewall, route-missing, route-wrong", "The destination of packets, or of the route"
    )
    via: Value | None = _of("route-wrong", "The neighbour that the route leads to")
    limit: Value | None = _of("bgp-prefix-limit", "How many prefixes are accepted")
    action: Value | None = _of("firewall, region-api-down", "drop or reject")
    tunnel: Value | None = _of("service-link-cut, service-link-slow", "Only this tunnel: 1 or 2")
