"""LAGs between Outpost networking devices and customer devices: cables, members, LACP."""

from __future__ import annotations

import pytest
from scapy.contrib.lacp import LACP

from testbed.conformance.expectation import expect
from testbed.conformance.probing import captures, exists, expect_up
from testbed.conformance.rack_subjects import LagSubject
from testbed.conformance.site import Site

SHORT_TIMEOUT = 0x02  # the bit of LACP's actor state that asks for a PDU every second
LISTEN_S = 10.0  # asked to, it sends one every second, and a busy machine some of them late


@pytest.mark.after("site.powered")
def test_carrier(site: Site, lag: LagSubject) -> None:
    """Every port of the LAG has carrier, at both ends.

    Expected: all interfaces of the LAG are up.
    Source: A3, A4, A5 (T1)
    Remedy: check the interface's administrative state, its optical module and its fibre.
    """
    inside = [(lag.ond, own) for own, _ in lag.members]
    outside = [(lag.device, far) for _, far in lag.members]
    expect_up(site, (*outside, *inside))


@pytest.mark.after("lag.carrier")
def test_fast_rate(site: Site, lag: LagSubject) -> None:
    """The customer device sends LACPDUs on every port, and asks for fast ones.

    Expected: an LACPDU every second, with the bit "short timeout" in its actor state.
    Source: R1: standard fast timers, slow timers cannot be configured; R2: dynamic LAG
    Remedy: set the LACP rate of the device's port channel to fast (one PDU every second).
    """
    ports = {(lag.ond, inside): f"{lag.device} {outside}" for inside, outside in lag.members}
    own = {site.plan.node(lag.ond).interface(name).mac for _, name in ports}
    foreign = "ether proto 0x8809" + "".join(f" and not ether src {mac}" for mac in own if mac)
    with captures(site, ports, foreign) as heard:
        site.settled(
            lambda: [capture.packets for capture in heard.values()],
            lambda found: all(len(packets) for packets in found),
            LISTEN_S,
        )
    for place, name in ports.items():
        states = [packet[LACP].actor_state for packet in heard[place].packets if LACP in packet]
        expect(
            states,
            name,
            expected=f"an LACPDU within {LISTEN_S:g} s",
            seen=f"{len(states)} LACPDUs at {' '.join(place)}",
            remedy=f"run LACP on {name}, in active mode: a static LAG is not enough (R2)",
        )
        rate = "short timeout (fast)" if states[-1] & SHORT_TIMEOUT else "long timeout (slow)"
        expect(states[-1] & SHORT_TIMEOUT, name, expected="short timeout (fast)", seen=rate)


@pytest.mark.after("lag.carrier")
def test_members(site: Site, lag: LagSubject) -> None:
    """Every member is collecting and distributing, with one partner.

    Expected: the actor and the partner of each member are synchronised, collecting and
    distributing, and all members have the same partner.
    Source: A2 (T1); R2: dynamic LAG with LACP, even for a single fibre; a LAG cannot span two ONDs
    Remedy: put every port of the LAG into one port channel of one device, in LACP's active mode.
    """
    for node, interface in ((lag.device, lag.device_bond), (lag.ond, lag.ond_bond)):
        if not exists(site, node):
            continue
        row = site.row("lags", node=node, interface=interface)
        bad = [m for m in row.get("members") or () if not m["ok"]]
        name = f"{node} {bad[0]['name'] if bad else interface}"
        seen = bad[0]["state"] if bad else row["state"]
        expect(row["ok"], name, expected="collecting and distributing", seen=seen)
