"""Running a schedule against a testbed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from testbed.chaos import keeper, verdict
from testbed.chaos.schedule import Episode
from testbed.chaos.verdict import Outcome, Run
from testbed.conformance import runner
from testbed.conformance.results import Report
from testbed.conformance.site import Site
from testbed.conformance.streams import Flow, Outage, Streams, choose
from testbed.errors import NetworkError, UsageError
from testbed.testing import Testbed
from testbed.topology.model import Topology

INTERVAL_S = 0.25  # between the requests of a flow
CLEAN_S = 30.0  # for the traffic to run without losses, in the testbed's time
PATIENCE_S = 30.0  # how long to wait before its clock is looked at: a busy machine is slow
READY_S = 120.0  # for everything to be ready again after healing
BASIC = ("lag", "vlan", "bgp")  # what is checked after a fault that no suite has to notice

OnEpisode = Callable[[Episode, int], None]
OnOutcome = Callable[[Outcome], None]


def _nothing(*_: object) -> None:
    """Tell nobody."""


def run(
    testbed: Testbed,
    topology: Topology,
    seed: int,
    episodes: Sequence[Episode],
    *,
    on_episode: OnEpisode = _nothing,
    on_outcome: OnOutcome = _nothing,
) -> Run:
    """Run the episodes under constant traffic; what is found wrong is in the result.

    After KeyboardInterrupt what is in force is healed, and the result says what was
    done. UsageError where faults are in force already, or no traffic works.
    """
    if names := [row["name"] for row in testbed.faults() if row["state"] != "healed"]:
        hint = f"heal them first: testbed heal -n {testbed.name}"
        raise UsageError(f"{testbed.name} already has faults: {', '.join(names)}", hint=hint)
    begun = time.monotonic()
    site = Site(testbed, topology)
    flows, left_out = _working(site)
    with Streams(site, flows, INTERVAL_S) as streams:
        result = Run(testbed.name, seed, len(episodes), keeper.look(testbed))
        result.flows, result.left_out = list(map(str, flows)), list(map(str, left_out))
        chaos = _Chaos(site, streams)
        try:
            for episode in episodes:
                on_episode(episode, len(episodes))
                result.outcomes.append(chaos.episode(episode, alone=len(episodes) == 1))
                on_outcome(result.outcomes[-1])
        except KeyboardInterrupt:
            result.interrupted = True
        finally:
            with suppress(NetworkError):
                testbed.heal(timeout_s=READY_S)
        result.testbed_s = chaos.now()
    result.wall_s = time.monotonic() - begun
    return result


def _working(site: Site) -> tuple[list[Flow], list[Flow]]:
    """The flows that are answered now, and those that are not."""
    flows = choose(site)
    if not flows:
        raise UsageError(
            f"no traffic is possible in {site.testbed.name}",
            hint="chaos needs instances, and routes and security groups that let them communicate",
        )
    with Streams(site, flows, INTERVAL_S) as streams:
        if streams.clean(CLEAN_S):
            return flows, []
        streams.mark()
        site.testbed.advance(2.0)
        last = {flow: phases[-1] for flow, phases in streams.report().items()}
    working = [flow for flow in flows if last[flow].sent and not last[flow].lost]
    if not working:
        hint = "see what is wrong: testbed check"
        raise UsageError(f"no traffic works in {site.testbed.name}", hint=hint)
    return working, [flow for flow in flows if flow not in working]


class _Chaos:
    """A run: its traffic, and when it began."""

    def __init__(self, site: Site, streams: Streams) -> None:
        self._site = site
        self._testbed = site.testbed
        self._streams = streams
        self._start = site.testbed.elapsed()

    def now(self) -> float:
        """Seconds of the testbed's time since the run began."""
        return self._testbed.elapsed() - self._start

    def episode(self, episode: Episode, *, alone: bool) -> Outcome:
        """Inject, hold, check, heal, wait, check again."""
        if not alone:
            self._pass(episode.start_s - self.now())
        outcome = Outcome(episode)
        if not self._runs():
            outcome.wrong.append("traffic does not work before the fault")
        self._streams.report()
        self._streams.mark()
        outcome.at_s = self.now()
        names = [self._inject(episode, number) for number in range(len(episode.faults))]
        self._pass(episode.hold_s)
        if episode.suites:
            report = self._check(episode.suites)
            outcome.wrong += verdict.in_force(episode, report)
            outcome.during = verdict.sentence(report.diagnosis) if report.diagnosis else ""
        self._heal(names, outcome)
        outcome.wrong += verdict.healed(self._check(episode.suites or BASIC))
        outcome.keeper = keeper.look(self._testbed)
        return outcome

    def _runs(self) -> bool:
        """Wait until all traffic runs without losses; whether it came to that."""
        return self._streams.clean(CLEAN_S)

    def _pass(self, seconds: float) -> None:
        if seconds > 0:
            self._testbed.advance(seconds)

    def _inject(self, episode: Episode, number: int) -> str:
        fault = episode.faults[number]
        values, name = dict(fault.values), f"chaos-{episode.number}-{number + 1}"
        # Healed by name below, however long its kind lasts where nothing is said.
        self._testbed.client.fault(fault.kind, fault.target, values, name=name)
        return name

    def _heal(self, names: Sequence[str], outcome: Outcome) -> None:
        """Heal, and wait until everything is ready and all traffic runs."""
        try:
            self._testbed.heal(*names, timeout_s=READY_S)
        except NetworkError as error:
            what = "; ".join((error.hint or error.message).splitlines())
            outcome.wrong.append(f"not ready again: {what}")
        clean = self._runs()
        outcome.lasted_s = self.now() - outcome.at_s
        outcome.outages = _last(self._streams)
        if not clean:
            silent = [name for name, one in outcome.outages.items() if one.gap_ms is None]
            what = f": {', '.join(silent)}" if silent else ", it still loses requests"
            outcome.wrong.append(f"traffic does not come back{what}")

    def _check(self, suites: Collection[str]) -> Report:
        return runner.run(self._testbed, self._site.topology, suites, disruptive=False)


def _last(streams: Streams) -> dict[str, Outage]:
    return {str(flow): phases[-1] for flow, phases in streams.report().items()}
