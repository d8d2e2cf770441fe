"""The service link is cut under users' requests: who is served, who is not, and what comes back."""

from __future__ import annotations

import pytest

from testbed.errors import UsageError
from testbed.lifecycle.installation import load_topology
from testbed.outage import choosing, running
from testbed.outage.model import Cut
from testbed.testing import Testbed, User

SITE = "topologies/two-racks.yaml"
LOCAL, REGIONAL = ("desk", "http://a/"), ("a", "tcp://c:7")

pytestmark = [
    pytest.mark.packets,
    pytest.mark.topology(SITE),
    pytest.mark.testbed(time="virtual"),
    pytest.mark.timeout(600),
]


def test_an_outage_spares_the_local_network_and_is_reported(testbed: Testbed) -> None:
    topology = load_topology(SITE, {})
    cuts = choosing.cuts(topology, ["service-link op-a"])
    users = choosing.users(topology)
    told: list[str] = []
    result = running.run(
        testbed, cuts, users, lasts_s=180.0, every_s=1.0, timeout_s=2.0, tell=told.append
    )
    by_words = {str(user): seen for user, seen in result.users.items()}
    assert len(by_words) == len(users)
    assert result.lasted_s >= 180.0
    for words, seen in by_words.items():
        ends = {"a" if words.startswith("a: ") or "10.77.7.88" in words else ""}
        ends |= {"c" if words.startswith("c: ") or "10.77.1.4" in words else ""}
        assert seen.served is (ends != {"a", "c"}), words  # only they need op-a's service link
        assert seen.during.sent > 50, words
        assert seen.back, words
    lost = by_words["a: tcp://10.77.1.4:7"].during
    assert (lost.failed, lost.gap_s) == (lost.sent, None)
    assert set(lost.reasons) == {"no answer"}
    mine, other = result.metrics["op-a"], result.metrics["op-b"]
    assert mine.late > 0
    assert other.late == 0
    assert mine.points == other.points
    assert mine.missing == other.missing == 0
    assert mine.connected_s is not None
    assert other.connected_s is None
    refused = {"RunInstances": "OutpostNotReachable", "StopInstances": "OutpostNotReachable"}
    accepted = dict.fromkeys(("RunInstances", "StopInstances", "CreateTags"), "accepted")
    assert result.management["op-a"] == refused | {"CreateTags": "accepted"}
    assert result.management["op-b"] == result.management["the Region"] == accepted
    assert result.recovered
    assert result.exit_code == 0
    assert told[-1].startswith("healed")


def test_users_count_what_fails_and_why(testbed: Testbed) -> None:
    refused, unknown = ("desk", "tcp://10.77.7.88:4444"), ("a", "http://nobody.example/")
    by_command = User("desk", command=("ping", "-c1", "-W1", "10.77.7.88"))
    with testbed.users(LOCAL, REGIONAL, refused, unknown, by_command, every_s=0.5) as users:
        testbed.advance(10.0)
        first = list(users.usage().values())
        users.mark()
        with testbed.fault("service-link-cut", "op-a"):
            testbed.advance(20.0)
            second = list(users.usage().values())
        users.mark()
        testbed.advance(30.0)
        third = list(users.usage().values())
    assert [usage.ok for usage in first] == [True, True, False, False, True]
    assert first[0].sent in {19, 20, 21}
    assert first[0].median_ms is not None
    assert set(first[2].reasons) == {"connection refused"}
    assert set(first[3].reasons) == {"name not resolved"}
    assert [usage.ok for usage in second] == [True, False, False, False, True]
    assert second[1].gap_s is None
    assert third[1].gap_s is not None
    assert third[1].sent > third[1].failed


def test_nothing_is_cut_where_nobody_is_served(testbed: Testbed) -> None:
    nobody = [User("desk", "tcp://10.77.7.88:4444")]
    with pytest.raises(UsageError, match="no user is served"):
        running.run(testbed, [Cut("service-link-cut", "op-a")], nobody,
                    lasts_s=1.0, every_s=1.0, timeout_s=1.0)  # fmt: skip
    assert not testbed.faults()
    with testbed.fault("service-link-cut", "op-b"), pytest.raises(UsageError, match="has faults"):
        running.run(testbed, [], nobody, lasts_s=1.0, every_s=1.0, timeout_s=1.0)


@pytest.mark.parametrize("url", ["10.0.0.1", "https://10.0.0.1/", "tcp://10.0.0.1", "tcp://:70000"])
def test_a_url_that_nobody_can_ask_for_is_refused(testbed: Testbed, url: str) -> None:
    with pytest.raises(UsageError, match="no user can ask for"):
        testbed.users(("desk", url))
