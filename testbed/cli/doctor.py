"""`testbed doctor`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import echo_json, json_option, unused_name_option, verb
from testbed.errors import EXIT_HOST, TestbedError

if TYPE_CHECKING:
    from rich.text import Text

    from testbed.guest.base import Guest
    from testbed.kernel.features import Feature, Program


@verb("doctor", "testbed doctor\ntestbed doctor --json")
@unused_name_option
@json_option
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Report what this machine offers this user: kernel features, programs, micro VM.

    Neither this command nor testbeds need root. Exits with 3 if testbeds can run
    neither in this kernel nor in a micro VM.
    """
    from testbed.kernel import features, rights  # noqa: PLC0415

    found = features.probe()
    missing = features.programs()
    guests = _guests()
    guest = _chosen(guests)
    root = os.geteuid() == 0
    native = all(feature.ok for feature in found)
    refused = any(feature.name == "namespaces" and not feature.ok for feature in found)
    obstacles = rights.obstacles(root=root) if refused else []
    devices = rights.devices()
    required = [program for program in missing if program.required]
    interfaces = _host_interfaces()
    ok = (native or guest["ok"]) and not required
    if as_json:
        echo_json(
            {
                "ok": ok,
                "native": native,
                "root": root,
                "way": _way(native=native, guest=guest) if ok else None,
                "kernel": os.uname().release,
                "features": [asdict(feature) for feature in found],
                "obstacles": [asdict(obstacle) for obstacle in obstacles],
                "devices": [asdict(device) for device in devices],
                "missing_programs": [asdict(program) for program in missing],
                "guest": guest,
                "guests": guests,
                "host_interfaces": interfaces,
            }
        )
    else:
        _print(found, missing, guests)
        if obstacles:
            click.echo(f"{'Root' if root else 'An ordinary user'} cannot create namespaces here:")
        for obstacle in (*obstacles, *devices):
            click.echo(
                f"  {obstacle.problem}\n    {click.style('hint:', fg='cyan')} {obstacle.remedy}"
            )
        _print_host_interfaces(interfaces)
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


def _host_interfaces() -> dict[str, Any]:
    """Whether interfaces of this host can be attached to testbeds, and what is against each."""
    from testbed.guest import wires  # noqa: PLC0415
    from testbed.kernel import host_interfaces  # noqa: PLC0415

    try:
        found = host_interfaces.look()
    except OSError as error:
        return {"problems": [str(error)], "interfaces": []}
    rows = [
        {"name": name, "problem": host_interfaces.problem(name, found)}
        for name, link in found.items()
        if not link.loopback
    ]
    return {"problems": wires.problems(), "interfaces": rows}


def _chosen(guests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the one that testbeds run in; where none can, the one that needs least to."""
    return next((guest for guest in guests if guest["ok"]), guests[-1])


def _print(found: list[Feature], missing: list[Program], guests: list[dict[str, Any]]) -> None:
    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.style import rows_table  # noqa: PLC0415

    output = console()
    rows = (
        [
            feature.name,
            _works(feature),
            feature.needed_for,
            feature.kernel_option,
            feature.package_or_module,
            feature.error,
        ]
        for feature in sorted(found, key=lambda feature: feature.ok)
    )
    columns = ("feature", "works", "needed for", "kernel option", "provided by", "why not")
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


def _works(feature: Feature) -> Text:
    from rich.text import Text  # noqa: PLC0415

    from testbed.kernel.trials import UNTRIED  # noqa: PLC0415

    if feature.ok:
        return Text("yes", style="green")
    return Text("?", style="yellow") if feature.error == UNTRIED else Text("no", style="bold red")


def _print_host_interfaces(interfaces: dict[str, Any]) -> None:
    rows = interfaces["interfaces"]
    free = "can be attached" if os.geteuid() == 0 else "could be attached by root"
    states = ", ".join(f"{row['name']} {row['problem'] or free}" for row in rows)
    click.echo(f"Host interfaces: {states or 'none'}")
    for line in interfaces["problems"]:
        click.echo(f"  in a micro VM: {line}")


def _state(guest: dict[str, Any]) -> str:
    if guest["problems"]:
        return "cannot run"
    if guest["lacking"]:
        return f"can run, but its kernel lacks {', '.join(guest['lacking'])}"
    if guest["kind"] == "uml":
        return "can run: a kernel as a process, almost as fast as this machine"
    return f"can run: {'with KVM' if guest['accelerated'] else 'emulated, slow'}"


def _way(*, native: bool, guest: dict[str, Any]) -> str:
    """Return where `up` runs a testbed that needs every feature: native, or the kind of guest."""
    return "native" if native else str(guest["kind"])


def _verdict(*, native: bool, guest: dict[str, Any], required: list[Program]) -> str:
    who = "" if os.geteuid() == 0 else ", without root"
    if required:
        packages = " ".join(sorted({program.package or program.name for program in required}))
        return click.style(f"testbeds cannot run: install {packages}", fg="red")
    if native:
        return click.style(f"testbeds run in this kernel{who}", fg="green")
    if guest["ok"]:
        return click.style(f"testbeds run in a micro VM ({guest['kind']}){who}", fg="green")
    reason = "this kernel lacks features that they need, and there is no micro VM"
    return click.style(f"testbeds cannot run: {reason}", fg="red")
