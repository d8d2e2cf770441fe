"""`testbed check`."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.common import (
    choose_name,
    echo_json,
    json_option,
    name_option,
    parse_settings,
    set_option,
    verb,
)
from testbed.errors import UsageError
from testbed.launch import alive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.shell_completion import CompletionItem

    from testbed.testing import Testbed
    from testbed.topology.model import Topology


def _complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    from testbed.conformance.runner import all_checks  # noqa: PLC0415
    from testbed.conformance.suites import SUITES  # noqa: PLC0415

    words = [*SUITES, *all_checks()]
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


@verb(
    "check",
    "testbed check                               # all suites, against the testbed that runs\n"
    "testbed check lag vlan bgp --html site.html\n"
    "testbed check --topology site.yaml --junit site.xml\n"
    "testbed check bgp.established --subject cnd1",
)
@click.argument("names", nargs=-1, metavar="[SUITE|CHECK]...", shell_complete=_complete)
@click.option(
    "--topology",
    "file",
    type=click.Path(),
    metavar="FILE",
    help="Bring this topology up, check it, and take it down again.",
)
@set_option
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    metavar="NAME",
    help="Only what concerns this: a device, Outpost, LAG (op.lag1), instance … Repeatable.",
)
@click.option("-x", "--exitfirst", is_flag=True, help="Stop at the first failure.")
@click.option(
    "--disruptive/--no-disruptive",
    default=True,
    help="Also run what breaks something on purpose and repairs it [default].",
)
@click.option("--list", "listing", is_flag=True, help="List the suites and their checks.")
@click.option("-a", "--all", "everything", is_flag=True, help="Show what passed, too.")
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write a report.")
@click.option("--junit", type=click.Path(dir_okay=False), metavar="FILE", help="Write JUnit XML.")
@click.option(
    "--vm",
    type=click.Choice(["auto", "always", "never", "uml", "qemu"]),
    default="auto",
    envvar="TESTBED_VM",
    help="Where the testbed of --topology runs, as in testbed up.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until the testbed of --topology is ready.",
)
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    names: tuple[str, ...],
    *,
    file: str | None,
    settings: tuple[str, ...],
    subjects: tuple[str, ...],
    exitfirst: bool,
    disruptive: bool,
    listing: bool,
    everything: bool,
    html: str | None,
    junit: str | None,
    vm: str,
    timeout: float,
    name: str | None,
    as_json: bool,
) -> None:
    """Check that an installation does what AWS and its own file say it does.

    The checks follow from the topology: its LAGs, VLANs, BGP sessions, service
    links, route tables, security groups … A failure names the object, what was
    expected and seen, and the remedy; the one nearest to the cables comes last,
    as the likely cause. Exits with 1 when a check failed, 3 when one could not run.
    """
    from testbed.conformance import runner  # noqa: PLC0415
    from testbed.conformance.progress import progress  # noqa: PLC0415

    if listing:
        _list(names, as_json=as_json)
        return
    runner.check_names(names)
    for output in (html, junit):
        _check_writable(output)
    with _under_check(file, parse_settings(settings), name, vm, timeout) as (testbed, topology):
        with progress(quiet=as_json) as shown:
            report = runner.run(
                testbed,
                topology,
                names,
                disruptive=disruptive,
                subjects=subjects,
                fail_fast=exitfirst,
                on_result=shown.result,
                on_start=shown.started,
            )
        if html:
            from testbed.conformance.html import write  # noqa: PLC0415

            write(Path(html), report, testbed.plan)
        if junit:
            from testbed.conformance.junit import write as write_junit  # noqa: PLC0415

            write_junit(Path(junit), report)
    if as_json:
        echo_json(report.to_json())
    else:
        from testbed.conformance.table import print_report  # noqa: PLC0415
        from testbed.render.console import console  # noqa: PLC0415

        print_report(console(), report, everything=everything)
    context.exit(report.exit_code)


@contextlib.contextmanager
def _under_check(
    file: str | None, settings: dict[str, str], name: str | None, vm: str, timeout: float
) -> Iterator[tuple[Testbed, Topology]]:
    """The testbed that is checked: the one that runs, or one of the file for as long as it takes.

    One that is not ready in time is checked all the same: the checks say why.
    """
    from testbed.bringup import (  # noqa: PLC0415
        bring_up,
        load_topology,
        lower_topology,
        origin_of,
        running_topology,
        take_down,
    )
    from testbed.client import Client  # noqa: PLC0415
    from testbed.render.progress import progress  # noqa: PLC0415
    from testbed.testing import Testbed  # noqa: PLC0415

    if file is None:
        if settings:
            raise UsageError("--set is for --topology", hint="what runs has its settings already")
        chosen = choose_name(name)
        yield Testbed(chosen), running_topology(Client.connect(chosen))
        return
    topology = load_topology(file, settings, name)
    if alive(topology.name):
        hint = f"check it: testbed check -n {topology.name}; or choose another name with -n"
        raise UsageError(f"a testbed {topology.name} runs already", hint=hint)
    try:
        with progress(quiet=not sys.stderr.isatty()) as shown:
            bring_up(
                lower_topology(topology),
                source=origin_of(file, settings),
                vm=vm,
                timeout_s=timeout,
                on_progress=shown.starting,
                on_event=shown.event,
            )
        yield Testbed(topology.name), topology
    finally:
        take_down(topology.name)


def _check_writable(output: str | None) -> None:
    """Refuse an output file that can't be written before anything has been done."""
    if output and not Path(output).absolute().parent.is_dir():
        raise UsageError(f"can't write {output}: no such folder")


def _list(names: tuple[str, ...], *, as_json: bool) -> None:
    """List the checks."""
    from testbed.conformance.runner import all_checks, check_names  # noqa: PLC0415

    check_names(names)
    chosen = [
        check
        for check in all_checks().values()
        if not names or {check.name, check.suite} & set(names)
    ]
    if as_json:
        echo_json([asdict(check) | {"suite": check.suite} for check in chosen])
        return
    from testbed.conformance.table import print_checks  # noqa: PLC0415
    from testbed.render.console import console  # noqa: PLC0415

    print_checks(console(), chosen)
