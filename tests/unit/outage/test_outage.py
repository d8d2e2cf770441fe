"""What is cut, who asks for what, and what is said of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console

from testbed.errors import UsageError
from testbed.lifecycle.installation import load_topology
from testbed.outage import choosing, html, table
from testbed.outage.model import Cut, Run, Seen
from testbed.outage.running import deliveries
from testbed.programs.management.metrics import NAMESPACE
from testbed.programs.users import Phase
from testbed.testing import Usage, User

TOPOLOGY = load_topology("topologies/two-racks.yaml", {})
DESK = User("desk", "http://10.77.7.88/")
FINE = Usage(10, 0, median_ms=1.0)


def test_cuts_are_of_service_links_or_any_fault() -> None:
    assert choosing.cuts(TOPOLOGY, ["service-link"]) == (
        Cut("service-link-cut", "op-a"),
        Cut("service-link-cut", "op-b"),
    )
    both = choosing.cuts(TOPOLOGY, ["service-link op-b", "node-stopped cnd1", "service-link op-b"])
    assert both == (Cut("service-link-cut", "op-b"), Cut("node-stopped", "cnd1"))


@pytest.mark.parametrize(
    ("words", "message"), [("service-link op-z", "no Outpost"), ("power", "nothing can be cut")]
)
def test_what_cannot_be_cut_is_refused(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choosing.cuts(TOPOLOGY, [words])


def test_users_are_of_each_place_and_way() -> None:
    found = list(map(str, choosing.users(TOPOLOGY)))
    assert "desk: http://10.77.7.88" in found
    assert "a: tcp://10.77.1.4:7" in found
    assert len(found) == len(set(found))
    assert not [words for words in found if words.startswith("a: ") and "10.77.7.88" in words]


def test_ecs_services_have_users_on_each_container_instance() -> None:
    topology = load_topology("topologies/ecs.yaml", {})
    urls = {user.url for user in choosing.users(topology)}
    wanted = {f"http://{topology.instances[name].address}" for name in ("one", "two")}
    assert not any(instance.services for instance in topology.instances.values())
    assert urls == wanted


def test_a_phase_counts_and_finds_the_longest_gap() -> None:
    phase = Phase(100.0)
    for second, reason in enumerate((None, "no answer", "no answer", None, "refused", None), 100):
        phase.add(float(second), second + 0.5, reason)
    said = phase.to_json()
    assert (said["sent"], said["failed"]) == (6, 3)
    assert said["reasons"] == {"no answer": 2, "refused": 1}
    assert (said["gap_s"], said["first"], said["last"]) == (3.0, 1.0, 4.0)
    assert said["median_ms"] == 500.0
    phase.add(106.0, 106.5, "refused")
    assert phase.to_json()["gap_s"] is None


def test_a_phase_without_requests_has_no_data() -> None:
    usage = Usage(**Phase(1.0).to_json())
    assert not usage.ok
    assert str(usage) == "no request was sent"


def point(metric: str, at: float, delay: float, value: float = 1.0) -> dict[str, Any]:
    """One point of a metric of op-a's."""
    dimensions = {"OutpostId": "op-a"}
    return {"metric": metric, "dimensions": dimensions, "time": at, "delivered": at + delay,
            "value": value}  # fmt: skip


def test_late_and_missing_metrics_are_counted() -> None:
    lag = [point("LagStatus", at, 0.0) for at in (60.0, 120.0)]
    lag += [point("LagStatus", 180.0, 130.0), point("LagStatus", 300.0, 10.0)]
    connected = [point("ConnectedStatus", at, 0.0, at > 330.0) for at in (240.0, 300.0, 360.0)]
    status = {"metrics": {NAMESPACE: [lag, connected]}}
    (found,) = deliveries(status, 130.0, 310.0).values()
    assert (found.points, found.late, found.missing) == (2, 1, 1)
    assert (found.delay_s, found.connected_s) == (130.0, 50.0)


def outage(after: Usage) -> Run:
    """An outage in which the desk lost 4 of 10 requests."""
    during = Usage(10, 4, {"no answer": 4}, 4.2, 1.0, 4.0, 1.0)
    run = Run("lab", (Cut("node-stopped", "cnd1"),), 10.0, ready_s=3.0, back_s=0.0)
    run.users = {DESK: Seen(FINE, during, after), User("a", "tcp://10.0.0.1:7"): Seen(*[FINE] * 3)}
    return run


def test_the_report_names_users_and_reasons() -> None:
    run = outage(FINE)
    out = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    table.print_run(out, run)
    text = out.export_text()
    assert "no answer (4)" in text
    assert "4.2 s" in text
    assert "1 of 2 users lost nothing, 1 lost requests; users came back" in text
    assert run.exit_code == 0
    run.management = {"op-a": {"RunInstances": "OutpostNotReachable", "CreateTags": "accepted"}}
    lines = table.summary(run)
    assert (
        "op-a: refused meanwhile: RunInstances (OutpostNotReachable); accepted: CreateTags" in lines
    )
    page = html.render(run)
    assert '<td class="bad">4</td>' in page
    assert json.loads(json.dumps(run.to_json()))["users"][0]["during"]["failed"] == 4


def test_what_does_not_come_back_is_an_error() -> None:
    run = outage(Usage(10, 10, {"no answer": 10}, None))
    assert not run.recovered
    assert run.exit_code == 1
    assert "did not all come back" in table.summary(run)[-1]
