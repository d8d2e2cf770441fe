"""Metrics: the text format, the diagnoses, BIRD's states, the spool, what is stored."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from testbed.programs.management.agent import KEPT_S, Spool
from testbed.programs.management.collector import Store
from testbed.programs.management.gauges import parse_sessions
from testbed.programs.management.metrics import diagnose, prometheus

REPLY = """\
0001 BIRD 2.0.12 ready.
2002-Name       Proto      Table      State  Since         Info
1002-device1    Device     ---        up     07:31:05.714
1006-
1002-customer_local_gateway BGP        ---        up     07:31:06.061  Established
1006-  Description:    op OND1 - cnd1, local-gateway VLAN 2001
   BGP state:          Established
     Neighbor address: 198.19.0.1
1002-customer_service_link BGP        ---        start  07:31:06.061  Active
1006-  Description:    op OND1 - cnd1, service-link VLAN 1001
   BGP state:          Active
0000
"""


def test_the_states_of_birds_sessions() -> None:
    assert parse_sessions(REPLY) == {
        "customer_local_gateway": "Established",
        "customer_service_link": "Active",
    }


def test_prometheus_text() -> None:
    sample = {
        "metric": "IfTrafficIn",
        "dimensions": {"OutpostsId": "op"},
        "value": 2.5,
        "time": 60.0,
    }
    assert prometheus([sample]) == (
        "# HELP aws_outposts_if_traffic_in AWS/Outposts IfTrafficIn\n"
        "# TYPE aws_outposts_if_traffic_in gauge\n"
        'aws_outposts_if_traffic_in{outposts_id="op"} 2.5 60000\n'
    )
    assert prometheus([]) == ""


def test_every_state_points_to_something() -> None:
    words = {
        states: diagnose(lag=states[0], local_gateway=states[1], service_link=states[2])
        for states in product([True, False], repeat=3)
    }
    assert words[True, True, True] == "all is well"
    assert "physical" in words[False, False, False]
    assert all(words.values())


def test_the_spool_outlives_the_agent_and_forgets_after_seven_days(tmp_path: Path) -> None:
    path = str(tmp_path / "spool.jsonl")
    spool = Spool(path)
    for when in (1000.0, 1060.0, 1120.0):
        spool.add(when, [{"metric": "LagStatus", "dimensions": {}, "value": 1}])
    again = Spool(path)
    assert [entry["time"] for entry in again.entries] == [1000.0, 1060.0, 1120.0]
    first, second, _ = (entry["sequence"] for entry in again.entries)
    assert second == first + 1
    again.acknowledge(second)
    assert [entry["time"] for entry in again.entries] == [1120.0]
    again.add(1120.0 + KEPT_S + 60, [])
    assert [entry["time"] for entry in again.entries] == [1120.0 + KEPT_S + 60]
    again.acknowledge(again.entries[-1]["sequence"])
    assert not Path(path).exists()


def test_datapoints_are_kept_once_and_in_the_order_of_their_times() -> None:
    store = Store()
    sample = {"metric": "LagStatus", "dimensions": {"LagId": "a"}, "value": 1}
    for when in (120.0, 60.0, 120.0, 180.0):
        store.add(sample, when, delivered=200.0)
    [history] = store.history()
    assert [point["time"] for point in history] == [60.0, 120.0, 180.0]
    assert store.latest()[0]["delivered"] == 200.0
