"""`testbed graph`."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from testbed.cli.common import (
    connect,
    echo_json,
    json_option,
    name_option,
    read_plan,
    set_option,
    verb,
)
from testbed.errors import UsageError

FORMATS = ("text", "svg", "mermaid", "dot")
SUFFIXES = {".svg": "svg", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".mermaid": "mermaid"}


@verb(
    "graph",
    "testbed graph\n"
    "testbed graph topologies/two-racks.yaml -o two-racks.svg\n"
    "testbed graph --format mermaid",
)
@click.argument("file", required=False, type=click.Path())
@set_option
@click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="What to draw in; otherwise as the output file is called, else text.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write here.")
@name_option("The testbed, where no FILE is given.")
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
    """Draw a topology file, or the testbed that runs.

    LAGs are one thick line each, tunnels dashed; svg needs graphviz.
    """
    from testbed.render.picture import draw  # noqa: PLC0415

    if file is not None:
        plan = read_plan(file, settings, name)
    else:
        plan, _ = connect(name).plan()
    picture = draw(plan)
    if as_json:
        echo_json(picture.to_json())
        return
    chosen = form or SUFFIXES.get(Path(output or "").suffix.lower(), "text")
    if chosen == "text":
        from testbed.render.text import to_text  # noqa: PLC0415

        text = to_text(picture, shutil.get_terminal_size((100, 24)).columns)
    else:
        from testbed.render import dot  # noqa: PLC0415

        renderers = {"svg": dot.to_svg, "mermaid": dot.to_mermaid, "dot": dot.to_dot}
        text = renderers[chosen](picture)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"can't write {output}: {(error.strerror or '').lower()}") from error
