"""CloudWatch's metrics of an Outpost (AWS/Outposts), read as AWS's diagnostic matrix reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from testbed.conformance.expectation import expect
from testbed.conformance.rack_subjects import LagSubject, OutpostSubject, VifSubject
from testbed.conformance.site import Site
from testbed.programs.management.gauges import STATES
from testbed.programs.management.metrics import NAMESPACE, Sample, diagnose

T = TypeVar("T")
ESTABLISHED = len(STATES)  # the value of VifBgpSessionState (M1)
OLD_PERIODS = 3  # a datapoint older than this says nothing of now
DELIVERY_S = 4.0  # from the end of a period until its datapoints are in the Region
POLL_S = 0.5
GOOD = "all is well"


@pytest.fixture(scope="session")
def due(site: Site) -> float:
    """When datapoints are in that were measured after the first check began, in seconds since 1970.

    Those of before may say how things were: shortly after `up` there are none, or
    some from before BGP's sessions were established.
    """
    period = site.topology.region.metrics_period_s
    return (Metrics(site).now // period + 1) * period + DELIVERY_S


class Metrics:
    """What the Region has of the Outposts' metrics at one moment."""

    def __init__(self, site: Site) -> None:
        status = site.testbed.status()
        self.now = float(status["clock"]["now"])
        self._oldest = self.now - OLD_PERIODS * site.topology.region.metrics_period_s
        series: list[list[Sample]] = (status.get("metrics") or {}).get(NAMESPACE) or []
        self._samples = [sample for samples in series for sample in samples]

    def value(self, metric: str, **dimensions: str) -> str:
        """The latest value in words; "" if there is no recent one."""
        found = [
            sample
            for sample in self._samples
            if sample["metric"] == metric
            and sample["time"] >= self._oldest
            and dimensions.items() <= sample["dimensions"].items()
        ]
        latest = max(found, key=lambda sample: float(sample["time"]), default=None)
        return "" if latest is None else f"{latest['value']:g}"


def _settled(site: Site, look: Callable[[], T], ok: Callable[[T], object], due: float) -> T:
    """Look until it is ok, or what was measured after the first check began is in."""
    within = max(DELIVERY_S, due - Metrics(site).now)
    return site.settled(look, ok, within, interval=POLL_S)


def _lag_id(lag: LagSubject) -> str:
    return f"{lag.outpost.name}-lag{lag.lag.number}"


def _vifs(lag: LagSubject) -> list[VifSubject]:
    """The LAG's VIFs, the service link's last."""
    return sorted(lag.vifs, key=lambda vif: vif.purpose)


def _vif_id(vif: VifSubject) -> str:
    kind = "sl-vif" if vif.purpose == "service-link" else "lgw-vif"
    of = f"-{vif.vif.domain}" if vif.vif.domain else ""
    return f"{vif.on.outpost.name}-{kind}{vif.on.lag.number}{of}"


def _expect(site: Site, due: float, name: str, metric: str, wanted: int, **dimensions: str) -> None:
    seen = _settled(
        site,
        lambda: Metrics(site).value(metric, **dimensions),
        lambda value: value == str(wanted),
        due,
    )
    said = f"{metric} {seen}" if seen else ""
    expect(seen == str(wanted), name, expected=f"{metric} {wanted}", seen=said)


@pytest.mark.after("lag.carrier", "lag.members", "bgp.established", "service-link.management")
def test_matrix(site: Site, lag: LagSubject, due: float) -> None:
    """LagStatus and VifBgpSessionState show no fault, as AWS's diagnostic matrix reads them.

    Expected: the LAG is up, and both sessions are Established (6).
    Source: F1 (T1); M3: the matrix of LAG, local gateway and service link; M2
    Remedy: check what the matrix points to: the LAG or its cables, or a VIF's configuration.
    """

    def look() -> dict[str, str]:
        metrics = Metrics(site)
        rows = {"LagStatus": metrics.value("LagStatus", LagId=_lag_id(lag))}
        for vif in _vifs(lag):
            state = metrics.value("VifBgpSessionState", VirtualInterfaceId=_vif_id(vif))
            rows[f"VifBgpSessionState of {vif.title}"] = state
        return rows

    def reads(seen: dict[str, str]) -> str:
        up = str(ESTABLISHED)
        status, *gateways, service_link = seen.values()
        local_gateway = up if all(state == up for state in gateways) else ""
        return diagnose(
            lag=status == "1", local_gateway=local_gateway == up, service_link=service_link == up
        )

    seen = _settled(site, look, lambda seen: reads(seen) == GOOD, due)
    missing = [metric for metric, value in seen.items() if not value]
    name = lag.name if not missing else f"{lag.name}: {missing[0]}"
    expect(not missing, name, expected="a datapoint", seen="nothing recent" if missing else "all")
    values = ", ".join(f"{metric} {value}" for metric, value in seen.items())
    points_to = reads(seen)
    text = f"{points_to} ({values})"
    expect(points_to == GOOD, lag.name, expected=GOOD, seen=text)


@pytest.mark.after("lag.carrier", "lag.members", "bgp.established", "service-link.management")
def test_vif_connection(site: Site, vif: VifSubject, due: float) -> None:
    """VifConnectionStatus and VifBgpSessionState say that the VIF works.

    Expected: VifConnectionStatus 1, VifBgpSessionState 6 (Established).
    Source: F1 (T1); M1; M2: 1 AS number or peer address, 2 port or address, 3 version, 4 and 5 path
    Remedy: see bgp.asns, bgp.port and vlan.peer-answers for the VIF.
    """
    dimensions = {"VirtualInterfaceId": _vif_id(vif)}
    _expect(site, due, vif.name, "VifBgpSessionState", ESTABLISHED, **dimensions)
    _expect(site, due, vif.name, "VifConnectionStatus", 1, **dimensions)


@pytest.mark.after("service-link.handshake", "service-link.management", every=True)
def test_connected_status(site: Site, outpost: OutpostSubject, due: float) -> None:
    """ConnectedStatus says that the Outpost is connected to its Region.

    Expected: 1.
    Source: F1, G1 (T1, T2); M1: an average below 1 means that the connection is impaired
    Remedy: see the checks of the service link.
    """
    _expect(site, due, str(outpost), "ConnectedStatus", 1, OutpostId=outpost.outpost.name)


@pytest.mark.after("service-link.management")
def test_tells_the_truth(site: Site, lag: LagSubject, due: float) -> None:
    """The metrics of the LAG and its sessions agree with their own daemons.

    Expected: LagStatus agrees with the kernel's bond, VifBgpSessionState with the OND's BGP.
    Source: M1, M3
    Remedy: check the agent on the rack's first server (testbed logs) and its management channel.
    """

    def differs() -> str:
        metrics = Metrics(site)
        row = site.row("lags", node=lag.ond, interface=lag.ond_bond)
        carrier = any(member["ok"] for member in row.get("members") or ())
        pairs: list[tuple[str, str, Any]] = [
            ("LagStatus", metrics.value("LagStatus", LagId=_lag_id(lag)), int(carrier))
        ]
        for vif in _vifs(lag):
            value = metrics.value("VifBgpSessionState", VirtualInterfaceId=_vif_id(vif))
            state = site.row("bgp", node=lag.ond, neighbor=str(vif.vif.peer_address.ip))["state"]
            number = STATES.index(state) + 1 if state in STATES else 1
            pairs.append((f"VifBgpSessionState of {vif.title}", value, number))
        return ", ".join(
            f"{name} {told or 'nothing recent'}, but it is {real}"
            for name, told, real in pairs
            if told != str(real)
        )

    seen = _settled(site, differs, lambda text: not text, due)
    expect(not seen, lag.name, expected="true metrics", seen=seen or "true metrics")
