"""What verbs share that work on a testbed that runs, or on one that they bring up for it."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.common import connect, parse_settings
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
    type=click.Path(),
    metavar="FILE",
    help="Bring this topology up for it, and take it down again.",
)

vm_option = click.option(
    "--vm",
    type=click.Choice(["auto", "always", "never", "uml", "qemu"]),
    default="auto",
    envvar="TESTBED_VM",
    help="Where the testbed of --topology runs, as in testbed up.",
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A testbed: the one that runs, or `new`, which does not yet."""

    plan: Plan
    topology: Topology
    new: Installation | None = None


def choose(
    file: str | None, settings: Iterable[str], name: str | None, time: str | None = None
) -> Chosen:
    """The testbed that is meant; UsageError where the file's would be one that runs already."""
    values = parse_settings(settings)
    if file is not None:
        from testbed.lifecycle.installation import read_file  # noqa: PLC0415 - pydantic is slow

        made = read_file(file, values, name, time=time)
        return Chosen(made.plan, made.topology, made)
    if values:
        raise UsageError("--set is for --topology", hint="what runs has its settings already")
    if time:
        raise UsageError("--time is for --topology", hint="what runs has its time already")
    from testbed.conformance.site_subjects import remember  # noqa: PLC0415
    from testbed.lifecycle.live import running  # noqa: PLC0415

    plan, topology = running(connect(name))
    remember(topology, plan)
    return Chosen(plan, topology)


@contextlib.contextmanager
def brought_up(chosen: Chosen, vm: str, timeout_s: float, verb: str) -> Iterator[Testbed]:
    """The testbed; that of a file as long as the block lasts, ready or not in time.

    It ends with this process, even when that is killed.
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
    return UsageError(f"a testbed {name} runs already", hint=hint)


def check_writable(*outputs: str | None) -> None:
    """Refuse output files that can't be written before anything has been done."""
    for path in (Path(output).absolute() for output in outputs if output):
        if not path.parent.is_dir():
            raise UsageError(f"can't write {path}: no such folder")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise UsageError(f"can't write {path}: permission denied")
