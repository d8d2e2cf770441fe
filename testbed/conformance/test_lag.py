"""LAGs between Outpost networking devices and customer devices: cables, members, LACP."""

from __future__ import annotations

import pytest
from scapy.contrib.lacp import LACP

from testbed.conformance.expectation import expect
from testbed.conformance.site import Site
from testbed.conformance.subjects import LagSubject

SHORT_TIMEOUT = 0x02  # the bit of LACP's actor state that asks for a PDU every second
LISTEN_S = 35.0  # one PDU comes in this time even at the slow rate


def test_carrier(site: Site, lag: LagSubject) -> None:
    """Every port of the LAG has carrier, at both ends.

    Expected: all interfaces of the LAG are up.
    Source: A3, A4, A5 (T1)
    Remedy: look at the interface's administrative state, its optical module and its fibre.
    """
    for inside, outside in lag.members:
        for node, interface in ((lag.device, outside), (lag.ond, inside)):
            state = site.testbed[node].run(["cat", f"/sys/class/net/{interface}/operstate"]).text
            expect(state.strip() == "up", f"{node} {interface}", expected="up", seen=state.strip())


@pytest.mark.after("lag.carrier")
def test_fast_rate(site: Site, lag: LagSubject) -> None:
    """The customer device asks for fast LACPDUs, on every port.

    Expected: the actor state of its LACPDUs has the bit "short timeout".
    Source: R1: standard fast timers, slow timers cannot be configured
    Remedy: set the LACP rate of the device's port channel to fast (one PDU each second).
    """
    for inside, outside in lag.members:
        own = site.plan.node(lag.ond).interface(inside).mac
        foreign = f"ether proto 0x8809 and not ether src {own}"
        with site.testbed[lag.ond].capture(inside, foreign) as heard:
            site.settled(lambda: heard.packets, len, LISTEN_S)
        states = [packet[LACP].actor_state for packet in heard.packets if LACP in packet]
        name = f"{lag.device} {outside}"
        expect(
            states,
            name,
            expected=f"an LACPDU within {LISTEN_S:g} s",
            seen=f"{len(states)} LACPDUs at {lag.ond} {inside}",
            remedy=f"run LACP on {name}: a static LAG is not enough (R2)",
        )
        rate = "short timeout (fast)" if states[-1] & SHORT_TIMEOUT else "long timeout (slow)"
        expect(states[-1] & SHORT_TIMEOUT, name, expected="short timeout (fast)", seen=rate)


@pytest.mark.after("lag.carrier")
def test_members(site: Site, lag: LagSubject) -> None:
    """Every member collects and distributes, towards one partner.

    Expected: the actor and the partner of each member are synchronised, collecting and
    distributing; all have the same partner.
    Source: A2 (T1), R2: dynamic LAG with LACP, even for a single fibre
    Remedy: every port of the LAG belongs to one port channel of one device, in LACP's active mode.
    """
    for node, interface in ((lag.ond, lag.ond_bond), (lag.device, lag.device_bond)):
        row = site.row("lags", node=node, interface=interface)
        bad = [m for m in row.get("members") or () if not m["ok"]]
        name = f"{node} {bad[0]['name'] if bad else interface}"
        seen = bad[0]["state"] if bad else row["state"]
        expect(row["ok"], name, expected="collecting and distributing", seen=seen)
