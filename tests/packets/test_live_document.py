"""The document of a testbed that runs: edits reach the packets, and clients keep out of each
other's way.

    desk -- cnd1, cnd2 ==== op.ond1, op.ond2 -- web
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testbed.errors import DocumentError, UsageError
from testbed.lifecycle.live import edit, live, running_plan
from testbed.testing import Testbed
from testbed.topology.document import Document, resolve
from testbed.topology.file.export import export
from testbed.topology.file.load import parse
from testbed.topology.numbers import Numbers
from testbed.topology.places import with_value, without

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.packets,
    pytest.mark.timeout(300),
    pytest.mark.topology(ROOT / "topologies" / "first.yaml"),
]


def setting(*path: str | int, to: Any) -> Callable[[Document], Document]:
    return lambda document: replace(document, data=with_value(document.data, path, to))


def unsetting(*path: str | int) -> Callable[[Document], Document]:
    return lambda document: replace(document, data=without(document.data, path))


def test_packets_follow_an_edit_and_its_undoing(testbed: Testbed) -> None:
    assert testbed["desk"].ping("web", count=1).received == 1
    testbed.edit(setting("vpcs", "app", "security_groups", to={"closed": {}}))
    testbed.edit(setting("instances", "web", "security_groups", to=["closed"]))
    assert testbed["desk"].ping("web", count=1).received == 0
    assert testbed.reach(["desk"], ["web"], icmp=True)[0].agrees
    testbed.edit(unsetting("instances", "web", "security_groups"))
    testbed.edit(unsetting("vpcs", "app", "security_groups"))
    assert testbed["desk"].ping("web", count=1).received == 1


def test_the_fixture_has_put_back_what_was_edited(testbed: Testbed) -> None:
    edit(testbed.client, setting("instances", "more", to={"subnet": "rack"}))
    testbed.restore()
    assert "more" not in live(testbed.client).document.data["instances"]
    with pytest.raises(UsageError, match="no node 'more'"):
        testbed.node("more")
    assert testbed.problems() == []


def test_what_is_refused_leaves_everything_as_it_is(testbed: Testbed) -> None:
    before = testbed.client.document(plan=True)
    with pytest.raises(DocumentError, match=r"InvalidSubnet\.Conflict"):
        testbed.edit(setting("vpcs", "app", "subnets", "x", to={"cidr": "10.77.7.0/25"}))
    assert testbed.client.document(plan=True) == before


def test_the_plan_that_runs_is_that_of_its_document(testbed: Testbed) -> None:
    testbed.edit(setting("instances", "more", to={"subnet": "rack"}))
    testbed.edit(unsetting("instances", "web"))
    plan, topology = running_plan(testbed.client)
    assert {node.name for node in plan.nodes} >= {"more", "desk", "db"}
    assert set(topology.instances) == {"more", "db"}
    text = export(live(testbed.client).document)
    document, _ = parse(text, file="first.yaml").resolve()
    now = live(testbed.client)
    assert resolve(document, Numbers(now.numbers)) == topology


def test_clients_at_once_all_get_through(testbed: Testbed) -> None:
    def work(name: str) -> None:
        client = Testbed(testbed.name).client
        for _ in range(3):
            edit(client, setting("instances", name, to={"subnet": "rack"}), wait=False)
            edit(client, unsetting("instances", name), wait=False)
        edit(client, setting("instances", name, to={"subnet": "rack"}))

    names = ["one", "two"]
    with ThreadPoolExecutor(len(names)) as pool:
        assert not any(pool.map(work, names))
    found = live(testbed.client)
    assert set(found.document.data["instances"]) == {"web", "db", *names}
    assert len(found.edits) == len(names)
    fresh = Testbed(testbed.name)
    for name in names:
        assert fresh["desk"].ping(name, count=1).received == 1
    assert fresh.problems() == []


def test_a_watcher_hears_of_edits_events_and_states(testbed: Testbed) -> None:
    start = testbed.client.hello()["revision"]
    slow = testbed.client.watch()
    assert next(slow)["event"] == "watching"  # and reads no more
    watcher = testbed.client.watch(start)
    messages = [next(watcher)]
    testbed.edit(setting("instances", "more", to={"subnet": "rack"}))
    testbed["cnd1"].run(["ip", "link", "set", "op", "down"])
    testbed.advance(20.0)
    wanted = {"watching", "revision", "occurred", "state", "ready"}
    while {message["event"] for message in messages} != wanted or messages[-1].get("ok") is None:
        messages.append(next(watcher))
    changes = [message for message in messages if message["event"] == "revision"]
    assert changes[0]["changes"] == [{"path": ["instances", "more"], "new": {"subnet": "rack"}}]
    testbed["cnd1"].run(["ip", "link", "set", "op", "up"])
    testbed.eventually(lambda: not testbed.problems(), 60.0)
    later = testbed.events(since=changes[0]["at"])
    assert later
    assert later == [event for event in testbed.events() if event["at"] >= changes[0]["at"]]
