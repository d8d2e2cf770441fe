"""`testbed import`."""  # noqa: N999 - it has the verb's name, as all of them

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.common import echo_json, json_option, unused_name_option, verb
from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.importing import Imported
    from testbed.importing.lines import Vendor

SHOWN = 40  # lines that were not used
LAGS_HELP = (
    "An Outpost's LAGs, of networking device 1 and of 2, such as op=sw1:Po10,sw2:Po10; repeatable."
)


@verb(
    "import",
    "testbed import sw1.cfg sw2.cfg --outpost op=sw1:Port-Channel10,sw2:Port-Channel10 \\\n"
    "    --service-link 1001 --service-link 1002 --region sw1:192.0.2.1 -o site.yaml",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--outpost", "outposts", multiple=True, metavar="NAME=DEVICE:LAG,…", help=LAGS_HELP)
@click.option(
    *("--service-link", "service_link"),
    multiple=True,
    type=click.IntRange(1, 4094),
    metavar="VLAN",
    help="A VLAN of a service link; repeatable. The LAGs' others are local gateways'.",
)
@click.option(
    "--region",
    multiple=True,
    metavar="DEVICE:NEIGHBOR",
    help="A BGP neighbour that is the way to the Region; repeatable.",
)
@click.option(
    "--wan",
    multiple=True,
    metavar="DEVICE:NEIGHBOR",
    help="A BGP neighbour that is the WAN's router; repeatable.",
)
@click.option(
    "--vendor",
    type=click.Choice(("nxos", "eos", "ios", "junos")),
    help="Whose configurations they are. Default: what the files look like.",
)
@click.option(
    *("-o", "--output"),
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write to FILE instead of standard output.",
)
@click.option("--all", "everything", is_flag=True, help=f"List all unused lines, not just {SHOWN}.")
@json_option
@unused_name_option
def command(
    files: tuple[Path, ...],
    *,
    outposts: tuple[str, ...],
    service_link: tuple[int, ...],
    region: tuple[str, ...],
    wan: tuple[str, ...],
    vendor: Vendor | None,
    output: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Make the site part of a topology from switches' configurations (NX-OS, EOS, IOS, Junos).

    One file for each device. Lines from which nothing was taken are listed on standard error.
    """
    from testbed.importing import Answers, import_files  # noqa: PLC0415 - slow to import

    answers = Answers(
        outposts=dict(_outpost(text) for text in outposts),
        service_link=frozenset(service_link),
        region=[_place(text, "--region") for text in region],
        wan=[_place(text, "--wan") for text in wan],
    )
    made = import_files(files, answers, vendor=vendor)
    if output is not None:
        from testbed.render.files import write  # noqa: PLC0415

        write(output, made.text.encode())
    if as_json:
        echo_json(made.to_json())
        return
    if output is None:
        click.echo(made.text, nl=False)
    _tell(made, everything=everything)


def _tell(made: Imported, *, everything: bool) -> None:
    for note in made.notes:
        click.echo(f"note: {note}", err=True)
    shown = made.unused if everything else made.unused[:SHOWN]
    if shown:
        click.echo(f"{len(made.unused)} lines not used:", err=True)
    for entry in shown:
        click.echo(f"  {entry.file}:{entry.line}: {entry.text}  ({entry.reason})", err=True)
    if len(shown) < len(made.unused):
        click.echo(f"  … {len(made.unused) - len(shown)} more: --all lists them", err=True)


def _place(text: str, option: str) -> tuple[str, str]:
    device, colon, rest = text.partition(":")
    if not (device and colon and rest):
        raise UsageError(
            f"{option} {text!r} is not DEVICE:{'LAG' if option == '--outpost' else 'NEIGHBOR'}"
        )
    return device, rest


def _outpost(text: str) -> tuple[str, list[tuple[str, str]]]:
    name, equals, rest = text.partition("=")
    if not (name and equals):
        raise UsageError(f"--outpost {text!r} is not NAME=DEVICE:LAG,DEVICE:LAG")
    return name, [_place(place, "--outpost") for place in rest.split(",")]
