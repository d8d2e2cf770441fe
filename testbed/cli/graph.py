"""`testbed graph`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.common import (
    connect,
    echo_json,
    json_option,
    name_option,
    read_plan,
    set_option,
    topology_argument,
    verb,
)
from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.render.picture import Picture

FORMATS = ("text", "svg", "png", "pdf", "mermaid", "dot")
SUFFIXES = {f".{form}": form for form in FORMATS} | {".gv": "dot", ".mmd": "mermaid"}
SUFFIXES |= dict.fromkeys(("", ".txt"), "text")


@verb(
    "graph",
    "testbed graph\ntestbed graph two-racks -o two-racks.svg\ntestbed graph --format mermaid",
)
@topology_argument(metavar="[TOPOLOGY]", required=False)
@set_option
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="The format [by the name of the output file, else text].",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write to this file."
)
@name_option("The testbed to draw, if no TOPOLOGY is given.")
@json_option
def command(
    file: str | None,
    *,
    settings: tuple[str, ...],
    form: str | None,
    output: str | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Draw a topology, or the running testbed.

    Each LAG is one thick line, tunnels are dashed. svg, png and pdf need graphviz.
    """
    from testbed.render import files  # noqa: PLC0415
    from testbed.render.picture import draw  # noqa: PLC0415

    chosen = form or format_of(output)
    if file is not None:
        plan = read_plan(file, settings, name)
    else:
        plan, _ = connect(name).plan()
    picture = draw(plan)
    if as_json:
        echo_json(picture.to_json())
        return
    data = render(picture, chosen)
    if output is None:
        click.echo(data, nl=False)
        return
    files.write(output, data)


def format_of(output: str | None) -> str:
    """Return the format that the output file's name asks for."""
    suffix = Path(output or "").suffix.lower()
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    hint = f"choose one with --format: {', '.join(FORMATS)}"
    raise UsageError(f"{output}: {suffix!r} is not a picture format", hint=hint)


def render(picture: Picture, form: str) -> bytes:
    """Return the picture in one of FORMATS."""
    from testbed.render import dot  # noqa: PLC0415

    match form:
        case "text":
            from testbed.render.text import to_text  # noqa: PLC0415

            return to_text(picture, shutil.get_terminal_size((100, 24)).columns).encode()
        case "mermaid":
            return dot.to_mermaid(picture).encode()
        case "dot":
            return dot.to_dot(picture).encode()
        case _:
            return dot.to_image(picture, form)
