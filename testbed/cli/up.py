"""`testbed up`."""

from __future__ import annotations

from contextlib import contextmanager
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
    topology_argument,
    verb,
    wait_options,
)
from testbed.cli.failures import INTERRUPTED, print_error
from testbed.errors import EXIT_NETWORK, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.lifecycle.bringup import Outcome
    from testbed.lifecycle.installation import Installation
    from testbed.render.progress import Progress


@verb(
    "up",
    "testbed up two-racks                        # an example: testbed list --topologies\n"
    "testbed up site.yaml --timings\n"
    "testbed up racks --set racks=4 -n four",
)
@topology_argument()
@set_option
@wait_options
@click.option("--timings", is_flag=True, help="Print the milliseconds of each phase.")
@click.option(
    "--vm",
    type=click.Choice(["auto", "always", "never", "uml", "qemu"]),
    default="auto",
    envvar="TESTBED_VM",
    show_default=True,
    show_envvar=True,
    help="Use a micro VM: if this kernel lacks features, always, never, or this kind of micro VM.",
)
@click.option(
    "--take",
    multiple=True,
    metavar="INTERFACE",
    help="Attach this host interface even though the host uses it. Repeatable.",
)
@click.option(
    "--time",
    type=click.Choice(["real", "virtual"]),
    help="Use real time, or skip idle time [as the topology says].",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    metavar="N",
    help="Random seed, for virtual time only [as the topology says].",
)
@click.option("--api", is_flag=True, help="Serve AWS's API along: testbed api.")
@name_option("Name the testbed, instead of the name in the file.")
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
    api: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Build the testbed of a topology, or update the running one to it.

    TOPOLOGY is a file, or the name of one: testbed list --topologies.

    If the testbed is already running, only the differences are applied. Exits
    with 1 if not everything is ready in time, or once something cannot become
    ready; the testbed then stays up so that you can examine it. While faults are
    active, it waits only until nothing changes any more. Root is not needed: an
    ordinary user's testbed runs in this kernel if that has all features and lets
    users create namespaces, else in a micro VM.
    """
    from testbed.lifecycle.bringup import bring_up  # noqa: PLC0415
    from testbed.render.progress import progress  # noqa: PLC0415

    with progress(quiet=as_json) as shown:
        read = _read(file, parse_settings(settings), name, time, seed, shown)
        with _interruptible(read.made.plan.name, shown):
            outcome = bring_up(
                read.made.plan,
                made_from=read.made.made_from(),
                vm=vm,
                wait=wait,
                timeout_s=timeout,
                take=take,
                on_progress=shown.starting,
                on_event=shown.event,
            )
    outcome = replace(outcome, timings=read.spent | outcome.timings)
    if as_json:
        echo_json(outcome.to_json() | {"taken_away": read.lost})
    else:
        _report(outcome, wait=wait, timeout=timeout, timings=timings)
    _end(context, outcome, api=api, quiet=as_json)


@contextmanager
def _interruptible(name: str, shown: Progress) -> Iterator[None]:
    """After Ctrl-C, say what is left of the testbed."""
    from testbed.control import registry  # noqa: PLC0415

    try:
        yield
    except KeyboardInterrupt:
        shown.close()
        left = "still runs" if registry.alive(name) else "nothing of it is left"
        click.echo(f"interrupted; {name}: {left}", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None


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
    read = Read(made, spent, taken_away(runs["edits"], made.document))
    for text in read.taken_away:
        shown.note(text)
    return read


def _end(context: click.Context, outcome: Outcome, *, api: bool, quiet: bool) -> None:
    """Serve the API where it is asked for, and exit as what has come up is."""
    if api:
        _serve_api(outcome.name, quiet=quiet)
    if outcome.pending and not outcome.faults:
        context.exit(EXIT_NETWORK)


def _serve_api(name: str, *, quiet: bool) -> None:
    """Serve AWS's API, unless it is served."""
    from testbed.lifecycle import api_process  # noqa: PLC0415

    try:
        url = api_process.registered(name)["url"]
    except UsageError:
        url = api_process.start(name)[1]
    if not quiet:
        click.echo(f'{name}: AWS\'s API at {url}; eval "$(testbed api env -n {name})"')


def _report(outcome: Outcome, *, wait: bool, timeout: float, timings: bool) -> None:
    """Say how it went."""
    _print_outcome(outcome, wait=wait, timeout=timeout)
    if timings:
        _print_timings(outcome.timings)


def _print_outcome(outcome: Outcome, *, wait: bool, timeout: float) -> None:
    if outcome.first:
        ready = not outcome.pending or bool(outcome.faults)
        state = "is up" if ready else "is built, but not ready"
        text = f"{outcome.name} {state}: {outcome.nodes} nodes, {outcome.links} links"
    elif outcome.changed:
        text = f"{outcome.name}: changed, {outcome.steps} step{'' if outcome.steps == 1 else 's'}"
    else:
        text = f"{outcome.name}: nothing to change"
    if not wait:
        text += "; it may not be ready yet, see testbed status"
    if outcome.faults:
        names = ", ".join(outcome.faults)
        text += f"; active faults: {names}"
    if outcome.faults and outcome.pending:
        text += f"; {len(outcome.pending)} not ready because of them, see testbed status"
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
        message = f"{count} {what} not ready and cannot become ready: {outcome.hopeless}"
    hint = "the testbed stays up: see testbed status and testbed logs, or use testbed down"
    print_error(message, hint)


def _print_timings(timings: dict[str, float]) -> None:
    for phase, ms in timings.items():
        click.echo(f"{phase:<16} {ms:9.1f} ms")
    click.echo(f"{'total':<16} {sum(timings.values()):9.1f} ms")
