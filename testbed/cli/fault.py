"""`testbed fault`: a command for each kind of fault, generated from the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from testbed.cli.common import Verb, complete_places, connect, echo_json, json_option, name_option
from testbed.errors import TestbedError

if TYPE_CHECKING:
    from testbed.control.client import Client
    from testbed.faults.registry import FaultKind
    from testbed.plan.model import Fault
    from testbed.probes.impairment import Measured


class Kinds(click.Group):
    """The group of commands, one for each kind of fault."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """List all kinds, by subject."""
        from testbed.faults.catalog import KINDS  # noqa: PLC0415

        return [*KINDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the kind's command."""
        from testbed.faults.catalog import KINDS  # noqa: PLC0415

        return _command(KINDS[cmd_name]) if cmd_name in KINDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the kind, and suggest a likely one where there is none of that name."""
        from testbed.faults.catalog import find  # noqa: PLC0415

        if args and not args[0].startswith("-"):
            find(args[0])
        return super().resolve_command(ctx, args)

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002
        """The first sentence of the help, whole."""
        return super().get_short_help_str(limit=200)


@click.group(
    "fault",
    cls=Kinds,
    invoke_without_command=True,
    no_args_is_help=True,
    subcommand_metavar="KIND TARGET [--PARAMETER VALUE]...",
    epilog=(
        "\b\nExample:\n"
        "  testbed fault link-down cnd1:op-a_1\n"
        "  testbed fault impair cnd1:region --delay 50ms --loss 1%\n"
        "  testbed fault service-link-cut op-a --every 30s --for 5s\n"
        "  testbed fault --list"
    ),
)
@click.option("--list", "listed", is_flag=True, help="List the kinds with their parameters.")
@name_option()
@json_option
@click.pass_context
def command(context: click.Context, *, listed: bool, name: str | None, as_json: bool) -> None:
    """Break something on purpose, until `testbed heal`.

    TARGET is NODE, NODE:INTERFACE (a LAG and a VLAN are interfaces, too), OUTPOST,
    or OUTPOST.lagN for the LAG of an Outpost networking device. Each KIND has its
    own --help.
    """
    context.obj = {"name": name, "as_json": as_json}
    if listed:
        _list(as_json=as_json)
        context.exit()


def _command(kind: FaultKind) -> click.Command:
    """The command of one kind."""
    from testbed.faults.targets import WORDS  # noqa: PLC0415

    def run(target: str, **given: Any) -> None:
        _inject(click.get_current_context(), kind, target, given)

    words = "|".join(WORDS[each] for each in kind.targets)
    params: list[click.Parameter] = [
        click.Argument(["target"], metavar=words, shell_complete=complete_places)
    ]
    for parameter in kind.parameters:
        default = "" if parameter.default is None else f" [{parameter.default}]"
        params.append(
            click.Option(
                [f"--{parameter.name}", f"value_{parameter.name}"],
                metavar=parameter.metavar,
                required=parameter.required,
                help=f"{parameter.help[0].upper()}{parameter.help[1:]}{default}.",
            )
        )
    lasts = "until it is healed" if kind.lasts_s is None else f"{kind.lasts_s:g}s"
    params += [
        click.Option(["--at", "at_s"], metavar="TIME", help="When to begin [now]."),
        click.Option(["--for", "for_s"], metavar="TIME", help=f"How long to last [{lasts}]."),
        click.Option(["--every", "every_s"], metavar="TIME", help="Repeat at this interval."),
        click.Option(
            ["--as", "fault_name"], metavar="FAULT", help="Name the fault [like its kind]."
        ),
    ]
    if kind.measured:
        text = "Measure the effect with packets [default]."
        params.append(click.Option(["--measure/--no-measure"], default=True, help=text))
    made = Verb(kind.name, params=params, callback=run, help=_sentence(kind), epilog=_example(kind))
    return json_option(name_option()(made))


def _sentence(kind: FaultKind) -> str:
    return f"{kind.help[0].upper()}{kind.help[1:]}."


def _example(kind: FaultKind) -> str:
    target = {"node": "cnd1", "interface": "cnd1:op-a", "outpost": "op-a", "region": "region"}
    target |= {"rack": "op-a.rack1", "server": "op-a.server1"}
    words = ["testbed fault", kind.name, target[kind.targets[0]]]
    needed = [p for p in kind.parameters if p.required]
    needed = needed or (list(kind.parameters[:1]) if kind.at_least_one else [])
    words += [f"--{p.name} {p.sample}" for p in needed]
    return f"\b\nExample:\n  {' '.join(words)}"


def _inject(context: click.Context, kind: FaultKind, target: str, given: dict[str, Any]) -> None:
    """Inject the fault and say what has become of it."""
    outer = context.obj or {}
    as_json = given["as_json"] or outer.get("as_json", False)
    context.params["as_json"] = as_json
    prefix = "value_"
    values = {
        parameter.name: given[f"{prefix}{parameter.name}".replace("-", "_")]
        for parameter in kind.parameters
        if given[f"{prefix}{parameter.name}".replace("-", "_")] is not None
    }
    client = connect(given["name"] or outer.get("name"))
    row = client.fault(
        kind.name,
        target,
        values,
        at_s=given["at_s"] or 0.0,
        for_s=given["for_s"],
        every_s=given["every_s"],
        name=given["fault_name"] or "",
    )
    measured: list[tuple[Measured, dict[str, float]]] = []
    problem = None
    if given.get("measure") and row["state"] == "active":
        measured, problem = _measure(client, row)
    if as_json:
        figures = [each.to_json() | {"expected": wanted} for each, wanted in measured]
        echo_json(row | ({"measured": figures} if kind.measured else {}))
    else:
        _report(client.name, kind, row, measured)
    if problem:
        click.echo(f"{click.style('note:', fg='yellow')} not measured: {problem}", err=True)


def _measure(
    client: Client, row: dict[str, Any]
) -> tuple[list[tuple[Measured, dict[str, float]]], str | None]:
    """What the impairment achieves, and what it should; why that cannot be told, if it cannot."""
    from testbed.probes.impairment import ends_of, expected, measure  # noqa: PLC0415

    plan, _ = client.plan()
    in_force = [_fault(each) for each in client.status()["faults"] if each["state"] == "active"]
    pairs = ends_of(plan, _fault(row))
    if not pairs:
        return [], "the interface is not an end of a cable, LAG or VLAN between nodes"
    try:
        return [
            (measure(client, pair, row["values"]), expected(plan, in_force, pair[0]))
            for pair in pairs
        ], None
    except TestbedError as error:
        return [], f"{error.message}: {error.hint}" if error.hint else error.message


def _fault(row: dict[str, Any]) -> Fault:
    from testbed.plan.model import Fault  # noqa: PLC0415

    return Fault(row["kind"], row["target"], row["values"], name=row["name"])


def _report(
    testbed: str,
    kind: FaultKind,
    row: dict[str, Any],
    measured: list[tuple[Measured, dict[str, float]]],
) -> None:
    from testbed.render.faults import fault_text  # noqa: PLC0415

    click.echo(f"{testbed}: {fault_text(row)}")
    if not measured:
        return
    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.style import rows_table  # noqa: PLC0415

    rows = []
    for each, wanted in measured:
        end = f"{each.node}:{each.interface}"
        for parameter in kind.parameters:
            asked = row["values"].get(parameter.name)
            if asked is None or parameter.narrows:
                continue
            got, whole = getattr(each, parameter.figure), wanted[parameter.figure]
            unit = parameter.unit if parameter.unit == "%" else f" {parameter.unit}"
            seen = "nothing arrived" if got is None else f"{got:g}{unit}"
            rows.append((end, parameter.name, f"{asked:g}{unit}", f"{whole:g}{unit}", seen))
    columns = ("sent by", "what", "asked for", "with the link's own", "measured")
    console().print(rows_table(f"Measured with {measured[0][0].frames} frames", columns, rows))


def _list(*, as_json: bool) -> None:
    """Print the catalogue."""
    from testbed.faults.catalog import KINDS, catalogue  # noqa: PLC0415

    if as_json:
        echo_json(catalogue())
        return
    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.faults import catalogue_table  # noqa: PLC0415

    console().print(catalogue_table(KINDS.values()))
