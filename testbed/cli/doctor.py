"""`testbed doctor`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import echo_json, json_option, unused_name_option, verb
from testbed.errors import EXIT_HOST, TestbedError

if TYPE_CHECKING:
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
    guest = _guest()
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
            }
        )
    else:
        _print(found, missing, guest)
        click.echo(_verdict(native=native, guest=guest, required=required))
    if not ok:
        context.exit(EXIT_HOST)


def _guest() -> dict[str, Any]:
    """Whether a micro VM can run here, and what it lacks."""
    try:
        from testbed.guest.qemu import QemuGuest  # noqa: PLC0415

        guest = QemuGuest()
        problems = guest.problems()
        accelerated = not problems and guest.accelerated()
    except (TestbedError, OSError) as error:
        return {"kind": "qemu", "ok": False, "accelerated": False, "problems": [str(error)]}
    ok = not problems
    return {"kind": guest.name, "ok": ok, "accelerated": accelerated, "problems": problems}


def _print(found: list[Feature], missing: list[Program], guest: dict[str, Any]) -> None:
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
    speed = "on the processor (KVM)" if guest["accelerated"] else "emulated, some ten times slower"
    state = f"can run, {speed}" if guest["ok"] else "can't run"
    output.print(f"Micro VM ({guest['kind']}): {state}")
    for problem in guest["problems"]:
        output.print(f"  {problem}")


def _verdict(*, native: bool, guest: dict[str, Any], required: list[Program]) -> str:
    if required:
        packages = " ".join(sorted({program.package or program.name for program in required}))
        return click.style(f"testbeds can't run: install {packages}", fg="red")
    if native:
        return click.style("testbeds run in this kernel", fg="green")
    if guest["ok"]:
        return click.style("testbeds run in a micro VM", fg="green")
    reason = "not root" if os.geteuid() else "this kernel lacks features, and there is no micro VM"
    return click.style(f"testbeds can't run: {reason}", fg="red")
