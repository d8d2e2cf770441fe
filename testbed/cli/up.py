"""`testbed up`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import (
    document_of,
    echo_json,
    json_option,
    name_option,
    parse_settings,
    set_option,
    verb,
)
from testbed.cli.failures import INTERRUPTED
from testbed.errors import EXIT_NETWORK

if TYPE_CHECKING:
    from testbed.lifecycle.bringup import Outcome
    from testbed.lifecycle.installation import Installation
    from testbed.render.progress import Progress


@verb(
    "up",
    "testbed up topologies/two-racks.yaml\n"
    "testbed up topologies/racks.yaml.j2 --set racks=4 -n four --timings",
)
@click.argument("file", type=click.Path())
@set_option
@click.option("--wait/--no-wait", default=True, help="Wait until everything is ready [default].")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait.",
)
@click.option("--timings", is_flag=True, help="Print the milliseconds of each phase.")
@click.option(
    "--vm",
    type=click.Choice(["auto", "always", "never", "uml", "qemu"]),
    default="auto",
    envvar="TESTBED_VM",
    show_default=True,
    show_envvar=True,
    help="Run in a micro VM: where this kernel can't, always, never; uml or qemu: in that kind.",
)
@click.option(
    "--take",
    multiple=True,
    metavar="INTERFACE",
    help="Attach this host interface though the host itself uses it.",
)
@click.option(
    "--time",
    type=click.Choice(["real", "virtual"]),
    help="Let time pass, or skip it where nobody waits [what the topology says].",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    metavar="N",
    help="What chance begins with where time is virtual [what the topology says].",
)
@name_option("Name the testbed so instead of as the file says.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    file: str,
    *,
    settings: tuple[str, ...],
    wait: bool,
    timeout: float,
    timings: bool,
    vm: str,
    take: tuple[str, ...],
    time: str | None,
    seed: int | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Build the testbed of a topology file, or bring the one that runs to it.

    Of a testbed that runs only what differs is changed. Exits with 1 when not
    everything is ready in time, or once it is certain that something never will
    be; the testbed then stays up, to be looked at.
    With faults in force it waits only until nothing changes any more.
    No root is needed: an ordinary user's runs in this kernel where it has all
    that is needed and lets users make namespaces, else in a micro VM.
    """
    from testbed.control import registry  # noqa: PLC0415
    from testbed.lifecycle.bringup import bring_up  # noqa: PLC0415
    from testbed.render.progress import progress  # noqa: PLC0415

    with progress(quiet=as_json) as shown:
        read = _read(file, parse_settings(settings), name, time, seed, shown)
        plan = read.made.plan
        for text in read.taken_away:
            shown.note(text)
        try:
            outcome = bring_up(
                plan,
                made_from=read.made.made_from(),
                vm=vm,
                wait=wait,
                timeout_s=timeout,
                take=take,
                on_progress=shown.starting,
                on_event=shown.event,
            )
        except KeyboardInterrupt:
            shown.close()
            left = "still runs" if registry.alive(plan.name) else "nothing of it is left"
            click.echo(f"interrupted; {plan.name}: {left}", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
    outcome = replace(outcome, timings=read.spent | outcome.timings)
    if as_json:
        echo_json(outcome.to_json() | {"taken_away": read.lost})
    else:
        _report(outcome, wait=wait, timeout=timeout)
        if timings:
            _print_timings(outcome.timings)
    if outcome.pending and not outcome.faults:
        context.exit(EXIT_NETWORK)


@dataclass(frozen=True, slots=True)
class Read:
    """A file's installation, how long that took in ms, and the edits that it does away with."""

    made: Installation
    spent: dict[str, float]
    lost: list[dict[str, Any]]

    @property
    def taken_away(self) -> list[str]:
        """What to tell of the edits."""
        from testbed.render.changes import change_text  # noqa: PLC0415

        if not self.lost:
            return []
        name = self.made.plan.name
        head = f"{name} has been edited since it was brought up; the file takes away:"
        return [head, *(change_text(change) for change in self.lost)]


def _read(
    file: str,
    variables: dict[str, str],
    name: str | None,
    time: str | None,
    seed: int | None,
    shown: Progress,
) -> Read:
    """Read and plan a file, and compare it with what runs under its name."""
    from testbed.cli.failures import warn  # noqa: PLC0415
    from testbed.lifecycle.bringup import links_of  # noqa: PLC0415
    from testbed.lifecycle.installation import read_file  # noqa: PLC0415
    from testbed.lifecycle.live import taken_away  # noqa: PLC0415
    from testbed.topology.rules.advice import advice  # noqa: PLC0415

    runs: dict[str, Any] = {"numbers": {}, "edits": []}

    def numbers(own: str) -> Any:
        runs.update(document_of(own))
        return runs["numbers"]

    shown.doing("reading the topology")
    started = perf_counter()
    made = read_file(file, variables, name, time=time, seed=seed, previous=numbers)
    for text in advice(made.topology):
        warn(text)
    loaded = perf_counter()
    plan = made.plan
    lowered = perf_counter()
    spent = {"load": (loaded - started) * 1000, "lower": (lowered - loaded) * 1000}
    shown.done("load", spent["load"], plan.name)
    shown.done("lower", spent["lower"], f"{len(plan.nodes)} nodes and {links_of(plan)} links")
    return Read(made, spent, taken_away(runs["edits"], made.document))


def _report(outcome: Outcome, *, wait: bool, timeout: float) -> None:
    """Say how it went."""
    if outcome.first:
        ready = not outcome.pending or bool(outcome.faults)
        state = "is up" if ready else "is built, but not ready"
        text = f"{outcome.name} {state}: {outcome.nodes} nodes, {outcome.links} links"
    elif outcome.changed:
        text = f"{outcome.name}: changed, {outcome.steps} step{'' if outcome.steps == 1 else 's'}"
    else:
        text = f"{outcome.name}: nothing to change"
    if not wait:
        text += "; not waited until it is ready, see testbed status"
    if outcome.faults:
        names = ", ".join(outcome.faults)
        text += f"; in force: {names}"
    if outcome.faults and outcome.pending:
        text += f"; with that {len(outcome.pending)} not ready, see testbed status"
    if not outcome.pending or outcome.faults:
        click.echo(f"{text} ({sum(outcome.timings.values()) / 1000:.1f} s)")
        return
    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.tables import pending_table  # noqa: PLC0415

    output = console(stderr=True)
    output.print(pending_table(outcome.pending))
    click.echo(text)
    count = len(outcome.pending)
    what = "thing is" if count == 1 else "things are"
    message = f"{count} {what} not ready after {timeout:g} s"
    if outcome.hopeless:
        message = f"{count} {what} not ready, and cannot become so: {outcome.hopeless}"
    click.echo(f"{click.style('error:', fg='red', bold=True)} {message}", err=True)
    hint = "the testbed stays up: look with testbed status and testbed logs, or testbed down"
    click.echo(f"    {click.style('hint:', fg='cyan')} {hint}", err=True)


def _print_timings(timings: dict[str, float]) -> None:
    for phase, ms in timings.items():
        click.echo(f"{phase:<16} {ms:9.1f} ms")
    click.echo(f"{'total':<16} {sum(timings.values()):9.1f} ms")
