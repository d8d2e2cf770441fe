"""What verbs share that work on a running testbed or bring one up for the purpose."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.common import complete_topologies, connect, parse_settings
from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from testbed.lifecycle.installation import Installation
    from testbed.plan.model import Plan
    from testbed.testing import Testbed
    from testbed.topology.model import Topology

topology_option = click.option(
    "--topology",
    "file",
    metavar="TOPOLOGY",
    shell_complete=complete_topologies,
    help="Bring up this topology for the run, and take it down afterwards.",
)

vm_option = click.option(
    "--vm",
    type=click.Choice(["auto", "always", "never", "uml", "qemu"]),
    default="auto",
    envvar="TESTBED_VM",
    help="Where to run the testbed of --topology, as in testbed up.",
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chosen testbed: the running one, or `new`, which is yet to be brought up."""

    plan: Plan
    topology: Topology
    new: Installation | None = None


def choose(
    file: str | None, settings: Iterable[str], name: str | None, time: str | None = None
) -> Chosen:
    """Return the testbed that the options mean. Raises UsageError where they contradict."""
    values = parse_settings(settings)
    if file is not None:
        from testbed.lifecycle.installation import read_file  # noqa: PLC0415 - pydantic is slow

        made = read_file(file, values, name, time=time)
        return Chosen(made.plan, made.topology, made)
    if values:
        raise UsageError(
            "--set needs --topology", hint="a running testbed has its settings already"
        )
    if time:
        raise UsageError("--time needs --topology", hint="a running testbed has its time already")
    from testbed.conformance.site_subjects import remember  # noqa: PLC0415
    from testbed.lifecycle.live import running_plan  # noqa: PLC0415

    plan, topology = running_plan(connect(name))
    remember(topology, plan)
    return Chosen(plan, topology)


@contextlib.contextmanager
def brought_up(chosen: Chosen, vm: str, timeout_s: float, verb: str) -> Iterator[Testbed]:
    """Give the testbed; one of a file runs as long as the block lasts, ready in time or not.

    It also ends when this process is killed.
    """
    from testbed.control.registry import alive  # noqa: PLC0415
    from testbed.lifecycle.bringup import bring_up, take_down  # noqa: PLC0415
    from testbed.render.progress import progress  # noqa: PLC0415
    from testbed.testing import Testbed  # noqa: PLC0415

    name = chosen.plan.name
    if chosen.new is None:
        yield Testbed(name)
        return
    if alive(name):
        raise _runs_already(name, verb)
    with progress(quiet=not sys.stderr.isatty()) as shown:
        outcome = bring_up(
            chosen.plan,
            made_from=chosen.new.made_from(),
            vm=vm,
            timeout_s=timeout_s,
            hold=True,
            on_progress=shown.starting,
            on_event=shown.event,
        )
    if not outcome.first:  # somebody else was faster
        raise _runs_already(name, verb)
    try:
        yield Testbed(name)
    finally:
        take_down(name)


def _runs_already(name: str, verb: str) -> UsageError:
    hint = f"use it: testbed {verb} -n {name}; or choose another name with -n"
    return UsageError(f"testbed {name} is already running", hint=hint)


def check_writable(*outputs: str | None) -> None:
    """Refuse output files that cannot be written, before any work is done."""
    for path in (Path(output).absolute() for output in outputs if output):
        if not path.parent.is_dir():
            raise UsageError(f"cannot write {path}: no such folder")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise UsageError(f"cannot write {path}: permission denied")
