"""`testbed export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.common import connect, echo_json, json_option, name_option, verb
from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@verb("export", "testbed export\ntestbed export -o site.yaml\ntestbed export --json | jq .data")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write to FILE instead of standard output.",
)
@name_option()
@json_option
def command(*, output: str | None, name: str | None, as_json: bool) -> None:
    """Write the running topology as a topology file, with the changes made since `up`.

    Comments and order are those of the file that it was brought up from. With -o, the files
    that it names (devices' configurations, rulesets) are written beside FILE.
    """
    from testbed.lifecycle.live import live  # noqa: PLC0415 - pydantic is slow to import
    from testbed.topology.file.export import export  # noqa: PLC0415

    document = live(connect(name)).document
    text = export(document)
    if output is not None:
        names = _write(Path(output), text, document.files)
    if as_json:
        echo_json(document.to_json() | {"text": text})
    elif output is None:
        click.echo(text, nl=False)
        if document.files:
            what = ", ".join(document.files)
            click.echo(f"note: the topology names files; -o writes them, too: {what}", err=True)
    else:
        click.echo(f"{output}: written{', with ' if names else ''}{', '.join(names)}")


def _write(file: Path, text: str, files: Mapping[str, str]) -> list[str]:
    """Write the file and those that it names; return the latter, as far as they were written.

    UsageError, before anything is written, if one of them exists and has other contents.
    """
    from testbed.render.files import write  # noqa: PLC0415

    missing = []
    for name, content in files.items():
        path = file.parent / name
        if not path.exists():
            missing.append(name)
        elif path.read_text(errors="replace") != content:
            hint = "choose another folder, or move that file away"
            raise UsageError(f"{path} already exists and differs from the running one", hint=hint)
    for name in missing:
        (file.parent / name).parent.mkdir(parents=True, exist_ok=True)
        write(str(file.parent / name), files[name].encode())
    write(str(file), text.encode())
    return missing
