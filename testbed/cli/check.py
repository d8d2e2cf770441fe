"""`testbed check`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from testbed.cli.brought_up import brought_up, check_writable, choose, topology_option, vm_option
from testbed.cli.common import (
    connect,
    echo_json,
    items,
    json_option,
    name_option,
    set_option,
    timeout_option,
    verb,
)
from testbed.cli.failures import INTERRUPTED

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from testbed.conformance.results import Report
    from testbed.plan.model import Plan
    from testbed.testing import Testbed
    from testbed.topology.model import Topology


def _complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    from testbed.conformance.runner import all_checks  # noqa: PLC0415
    from testbed.conformance.suites import SUITES  # noqa: PLC0415

    words = [*SUITES, *all_checks()]
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _complete_subjects(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete what checks are run for, in the topology that is named, or that of the testbed."""

    def read() -> list[str]:
        from testbed.conformance.subjects import SUBJECTS  # noqa: PLC0415
        from testbed.lifecycle.installation import load_topology  # noqa: PLC0415
        from testbed.lifecycle.live import running_topology  # noqa: PLC0415

        if file := context.params.get("file"):
            topology = load_topology(file, {})
        else:
            topology = running_topology(connect(context.params.get("name")))
        found = (subject for find, _ in SUBJECTS.values() for subject in find(topology))
        return sorted(set().union(*(subject.keys for subject in found)))

    return items(read, incomplete)


@verb(
    "check",
    "testbed check                               # all suites, against the running testbed\n"
    "testbed check lag vlan bgp --html site.html\n"
    "testbed check --topology site.yaml --junit site.xml\n"
    "testbed check bgp.established --subject cnd1",
)
@click.argument("names", nargs=-1, metavar="[SUITE|CHECK]...", shell_complete=_complete)
@topology_option
@set_option
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    metavar="NAME",
    shell_complete=_complete_subjects,
    help="Check only this device, Outpost, LAG (op.lag1), instance … Repeatable.",
)
@click.option("-x", "--exitfirst", is_flag=True, help="Stop at the first failure.")
@click.option(
    "--disruptive/--no-disruptive",
    default=True,
    help="Also run checks that break something on purpose and repair it [default].",
)
@click.option("--list", "listing", is_flag=True, help="List the suites and their checks.")
@click.option("-a", "--all", "everything", is_flag=True, help="Also show what passed.")
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write a report.")
@click.option("--junit", type=click.Path(dir_okay=False), metavar="FILE", help="Write JUnit XML.")
@vm_option
@timeout_option("How long to wait until the testbed of --topology is ready.")
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
    """Check that an installation works as AWS requires and as its own file says.

    The checks follow from the topology: its LAGs, VLANs, BGP sessions, service
    links, route tables, security groups … A failure names the object, what was
    expected, what was seen, and the remedy. The failure closest to the cables
    comes last, as the likely cause. Exits with 1 if a check failed, and with 3
    if one could not run.
    """
    from testbed.conformance import runner  # noqa: PLC0415

    if listing:
        _list(names, as_json=as_json)
        return
    runner.check_names(names)
    check_writable(html, junit)
    chosen = choose(file, settings, name)
    interrupted = False
    with brought_up(chosen, vm, timeout, "check") as testbed:
        asked = {"disruptive": disruptive, "subjects": subjects, "fail_fast": exitfirst}
        try:
            report = _run(testbed, chosen.topology, names, quiet=as_json, **asked)
        except runner.Interrupted as interrupt:
            report, interrupted = interrupt.report, True
        _write(report, chosen.plan, html, junit)
    if as_json:
        echo_json(report.to_json())
    else:
        from testbed.conformance.report.table import print_report  # noqa: PLC0415
        from testbed.render.console import console  # noqa: PLC0415

        print_report(console(), report, everything=everything)
    context.exit(INTERRUPTED if interrupted else report.exit_code)


def _run(
    testbed: Testbed, topology: Topology, names: tuple[str, ...], *, quiet: bool, **asked: Any
) -> Report:
    """Run the checks that were asked for, showing how far they are."""
    from testbed.conformance import runner  # noqa: PLC0415
    from testbed.conformance.report.progress import progress  # noqa: PLC0415

    with progress(quiet=quiet) as shown:
        return runner.run(
            testbed, topology, names, on_result=shown.result, on_start=shown.started, **asked
        )


def _write(report: Report, plan: Plan, html: str | None, junit: str | None) -> None:
    """Write the reports that were asked for."""
    if html:
        from testbed.conformance.report.html import write  # noqa: PLC0415

        write(Path(html), report, plan)
    if junit:
        from testbed.conformance.report.junit import write as write_junit  # noqa: PLC0415

        write_junit(Path(junit), report)


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
    from testbed.conformance.report.table import print_checks  # noqa: PLC0415
    from testbed.render.console import console  # noqa: PLC0415

    print_checks(console(), chosen)
