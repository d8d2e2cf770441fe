"""`testbed doctor`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import echo_json, json_option, unused_name_option, verb
from testbed.errors import EXIT_HOST, TestbedError

if TYPE_CHECKING:
    from testbed.guest.base import Guest
    from testbed.kernel.features import Feature, Program


@verb("doctor", "testbed doctor\ntestbed doctor --json")
@unused_name_option
@json_option
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Say what this machine can do: kernel features, programs, micro VM.

    Exits with 3 when testbeds can run neither in its kernel nor in a micro VM.
    """
    from testbed.kernel import features  # noqa: PLC0415

    found = features.probe()
    missing = features.programs()
    guests = _guests()
    guest = _chosen(guests)
    native = os.geteuid() == 0 and all(feature.ok for feature in found)
    required = [program for program in missing if program.required]
    ok = (native or guest["ok"]) and not required
    if as_json:
        echo_json(
            {
                "ok": ok,
                "native": native,
                "root": os.geteuid() == 0,
                "kernel": os.uname().release,
                "features": [asdict(feature) for feature in found],
                "missing_programs": [asdict(program) for program in missing],
                "guest": guest,
                "guests": guests,
            }
        )
    else:
        _print(found, missing, guests)
        click.echo(_verdict(native=native, guest=guest, required=required))
    if not ok:
        context.exit(EXIT_HOST)


def _guests() -> list[dict[str, Any]]:
    """Whether each kind of micro VM can run here, and what it lacks; the fastest first."""
    from testbed.guest.kinds import KINDS  # noqa: PLC0415

    return [_guest(kind()) for kind in KINDS.values()]


def _guest(guest: Guest) -> dict[str, Any]:
    try:
        problems = guest.problems()
        lacking = [] if problems else guest.lacking(None)
        accelerated = not problems and guest.accelerated()
        hints = guest.hints()
    except (TestbedError, OSError) as error:
        problems, lacking, accelerated, hints = [str(error)], [], False, []
    return {
        "kind": guest.name,
        "ok": not problems and not lacking,
        "accelerated": accelerated,
        "problems": problems,
        "lacking": lacking,
        "hints": hints,
    }


def _chosen(guests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the one that testbeds run in; where none can, the one that needs least to."""
    return next((guest for guest in guests if guest["ok"]), guests[-1])


def _print(found: list[Feature], missing: list[Program], guests: list[dict[str, Any]]) -> None:
    from rich.text import Text  # noqa: PLC0415

    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.tables import rows_table  # noqa: PLC0415

    output = console()
    rows = (
        [
            feature.name,
            Text("yes", style="green") if feature.ok else Text("no", style="bold red"),
            feature.needed_for,
            feature.kernel_option,
            feature.package_or_module,
            feature.error,
        ]
        for feature in sorted(found, key=lambda feature: feature.ok)
    )
    columns = ("feature", "works", "needed for", "kernel option", "where it is", "why not")
    output.print(rows_table(f"Kernel {os.uname().release}", columns, rows))
    if missing:
        programs = (
            [p.name, p.package, p.needed_for, "yes" if p.required else "no"] for p in missing
        )
        headings = ("missing", "package", "needed for", "required")
        output.print(rows_table("Programs", headings, programs))
    for guest in guests:
        output.print(f"Micro VM ({guest['kind']}): {_state(guest)}")
        for line in (*guest["problems"], *guest["hints"]):
            output.print(f"  {line}")


def _state(guest: dict[str, Any]) -> str:
    if guest["problems"]:
        return "can't run"
    if guest["lacking"]:
        return f"can run, but its kernel lacks {', '.join(guest['lacking'])}"
    if guest["kind"] == "uml":
        return "can run, a kernel as a process, almost as fast as this machine"
    return f"can run, {'on the processor (KVM)' if guest['accelerated'] else 'emulated, slow'}"


def _verdict(*, native: bool, guest: dict[str, Any], required: list[Program]) -> str:
    if required:
        packages = " ".join(sorted({program.package or program.name for program in required}))
        return click.style(f"testbeds can't run: install {packages}", fg="red")
    if native:
        return click.style("testbeds run in this kernel", fg="green")
    if guest["ok"]:
        return click.style(f"testbeds run in a micro VM ({guest['kind']})", fg="green")
    reason = "not root" if os.geteuid() else "this kernel lacks features, and there is no micro VM"
    return click.style(f"testbeds can't run: {reason}", fg="red")
