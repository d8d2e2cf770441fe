"""`testbed outage`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.brought_up import brought_up, check_writable, choose, vm_option
from testbed.cli.common import (
    complete_topologies,
    echo_json,
    json_option,
    name_option,
    set_option,
    verb,
)
from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.outage.model import Run
    from testbed.testing import User
    from testbed.topology.model import Topology


@verb(
    "outage",
    "testbed outage two-racks --for 1h --time virtual           # all service links\n"
    "testbed outage --cut 'service-link op-a' --for 10m         # of the running testbed\n"
    "testbed outage site.yaml --cut 'node-stopped cnd1' --for 5m --html report.html\n"
    "testbed outage two-racks --user 'desk http://10.77.7.4/' --every 100ms",
)
@click.argument("file", required=False, metavar="[TOPOLOGY]", shell_complete=complete_topologies)
@click.option(
    "--cut",
    "cut",
    multiple=True,
    default=("service-link",),
    show_default=True,
    metavar="WHAT",
    help="What to cut: service-link, 'service-link OUTPOST', or a fault, 'KIND TARGET'.",
)
@click.option(
    "--for",
    "duration",
    default="10m",
    show_default=True,
    metavar="TIME",
    help="How long, in the testbed's time.",
)
@click.option(
    "--user",
    "given",
    multiple=True,
    metavar="'NODE URL'",
    help="Whose requests to watch: http://, tcp:// or udp:// [users of every service].",
)
@click.option(
    "--every",
    default="1s",
    show_default=True,
    metavar="TIME",
    help="How long a user waits from request to request.",
)
@click.option(
    "--timeout",
    default="2s",
    show_default=True,
    metavar="TIME",
    help="How long a user waits for an answer.",
)
@set_option
@click.option(
    "--time",
    type=click.Choice(["real", "virtual"]),
    help="The time of the testbed of TOPOLOGY [as its file says].",
)
@vm_option
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write a report.")
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    *,
    file: str | None,
    cut: tuple[str, ...],
    duration: str,
    given: tuple[str, ...],
    every: str,
    timeout: str,
    settings: tuple[str, ...],
    time: str | None,
    vm: str,
    html: str | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Cut something for a while, and report what users saw and what came back when.

    Users send requests all the time: one of each local network and place to every service, as
    routes and security groups allow, or those of --user. The report has how many of their
    requests failed, why, and for how long; which metrics reached the Region late or never; and
    when everything was back. With TOPOLOGY a testbed is brought up for it. Exits with 1 if
    something does not come back.
    """
    from testbed.faults.values import seconds  # noqa: PLC0415
    from testbed.lifecycle.bringup import DEFAULT_TIMEOUT_S  # noqa: PLC0415
    from testbed.outage import choosing, running  # noqa: PLC0415

    times = {
        "lasts_s": _positive(seconds(duration, "for"), "--for"),
        "every_s": _positive(seconds(every, "every"), "--every"),
        "timeout_s": _positive(seconds(timeout, "timeout"), "--timeout"),
    }
    check_writable(html)
    chosen = choose(file, settings, name, time)
    cuts = choosing.cuts(chosen.topology, cut)
    users = _users(chosen.topology, given)
    with brought_up(chosen, vm, DEFAULT_TIMEOUT_S, "outage") as testbed:
        result = running.run(testbed, cuts, users, **times, tell=_tell)
    _report(result, html, as_json=as_json)
    context.exit(130 if result.interrupted else result.exit_code)


def _tell(text: str) -> None:
    click.echo(text, err=True)


def _report(result: Run, html: str | None, *, as_json: bool) -> None:
    if html:
        from testbed.outage.html import write  # noqa: PLC0415

        write(Path(html), result)
    if as_json:
        echo_json(result.to_json())
        return
    from testbed.outage.table import print_run  # noqa: PLC0415
    from testbed.render.console import console  # noqa: PLC0415

    print_run(console(), result)


def _users(topology: Topology, given: tuple[str, ...]) -> list[User]:
    from testbed.outage import choosing  # noqa: PLC0415
    from testbed.testing import User  # noqa: PLC0415

    if not given:
        if not (found := choosing.users(topology)):
            hint = "give instances services, or say who asks for what: --user 'NODE URL'"
            raise UsageError("nobody uses any service of this topology", hint=hint)
        return found
    users = []
    for text in given:
        node, _, url = text.strip().partition(" ")
        if not url.strip():
            raise UsageError(f"--user {text!r} is not NODE and URL", hint="'desk http://10.0.1.4/'")
        users.append(User(node, url.strip()))
    return users


def _positive(value: float, option: str) -> float:
    if value <= 0:
        raise UsageError(f"{option} must be more than 0")
    return value
