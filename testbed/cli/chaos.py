"""`testbed chaos`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.brought_up import brought_up, check_writable, choose, topology_option, vm_option
from testbed.cli.common import echo_json, json_option, name_option, set_option, verb
from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.chaos.schedule import Episode
    from testbed.chaos.verdict import Run
    from testbed.cli.brought_up import Chosen


@verb(
    "chaos",
    "testbed chaos --seed 1 --for 5m             # against the running testbed\n"
    "testbed chaos --seed 1 --for 1h --topology site.yaml --time virtual\n"
    "testbed chaos --seed 1 --for 5m --list      # only print the schedule\n"
    "testbed chaos --seed 1 --for 5m --only 3    # one episode again, alone",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Random seed.")
@click.option(
    "--for",
    "duration",
    default="5m",
    show_default=True,
    metavar="TIME",
    help="How long to run, in the testbed's time.",
)
@click.option(
    "--only", type=click.IntRange(1), metavar="K", help="Run only this episode of the schedule."
)
@click.option(
    "--list", "listing", is_flag=True, help="Print the schedule without breaking anything."
)
@topology_option
@set_option
@click.option(
    "--time",
    type=click.Choice(["real", "virtual"]),
    help="The time of the testbed of --topology [as its file says].",
)
@vm_option
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write a report.")
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    *,
    seed: int,
    duration: str,
    only: int | None,
    listing: bool,
    file: str | None,
    settings: tuple[str, ...],
    time: str | None,
    vm: str,
    html: str | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Break things at random under constant traffic, and verify that the checks notice.

    Each episode injects one or two faults. While they are active, the suites that
    should notice them must fail and name them as the cause. Once they are healed,
    everything must work again, traffic first. Anything else is a wrong verdict. The
    keeper is watched for leaks. The same seed gives the same episodes. Exits with 1
    for a wrong verdict or a leak.
    """
    from testbed.chaos.schedule import schedule  # noqa: PLC0415
    from testbed.faults.values import seconds  # noqa: PLC0415

    lasts = seconds(duration, "for")
    check_writable(html)
    chosen = choose(file, settings, name, time)
    episodes = _only(schedule(chosen.plan, chosen.topology, seed, lasts), only)
    if listing:
        _list(episodes, as_json=as_json)
        return
    result = _run(chosen, vm, seed, episodes, quiet=as_json)
    if html:
        from testbed.chaos.html import write  # noqa: PLC0415

        write(Path(html), result)
    if as_json:
        echo_json(result.to_json())
    else:
        from testbed.chaos.table import print_run  # noqa: PLC0415
        from testbed.render.console import console  # noqa: PLC0415

        print_run(console(), result, _again(seed, duration, file, time, name, settings))
    context.exit(130 if result.interrupted else result.exit_code)


def _run(chosen: Chosen, vm: str, seed: int, episodes: list[Episode], *, quiet: bool) -> Run:
    """Run the episodes against the testbed that was chosen."""
    from testbed.chaos.running import run  # noqa: PLC0415
    from testbed.chaos.table import progress  # noqa: PLC0415
    from testbed.lifecycle.bringup import DEFAULT_TIMEOUT_S  # noqa: PLC0415

    with (
        brought_up(chosen, vm, DEFAULT_TIMEOUT_S, "chaos") as testbed,
        progress(quiet=quiet) as shown,
    ):
        return run(
            testbed,
            chosen.topology,
            seed,
            episodes,
            on_episode=shown.started,
            on_outcome=shown.ended,
        )


def _again(
    seed: int,
    duration: str,
    file: str | None,
    time: str | None,
    name: str | None,
    settings: tuple[str, ...],
) -> str:
    """The command that runs one episode of the same schedule again, but for its number."""
    words = ["testbed chaos", f"--seed {seed}", f"--for {duration}"]
    words += [f"--topology {file}"] if file else []
    words += [f"--set {setting}" for setting in settings]
    words += [f"--time {time}"] if time else []
    words += [f"-n {name}"] if name else []
    return " ".join([*words, "--only"])


def _only(episodes: list[Episode], number: int | None) -> list[Episode]:
    if number is None:
        return episodes
    if number > len(episodes):
        hint = f"the schedule has {len(episodes)}; a longer --for gives more"
        raise UsageError(f"there is no episode {number}", hint=hint)
    return [episodes[number - 1]]


def _list(episodes: list[Episode], *, as_json: bool) -> None:
    if as_json:
        echo_json([episode.to_json() for episode in episodes])
        return
    from testbed.chaos.table import print_schedule  # noqa: PLC0415
    from testbed.render.console import console  # noqa: PLC0415

    print_schedule(console(), episodes)
