"""`testbed edit`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.cli.common import connect, json_option, name_option, verb, wait_options
from testbed.cli.edited import change
from testbed.errors import TopologyError, UsageError

if TYPE_CHECKING:
    from testbed.lifecycle.live import Live
    from testbed.topology.document import Document


@verb("edit", "testbed edit\nEDITOR=nano testbed edit -n site")
@wait_options
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context, *, wait: bool, timeout: float, name: str | None, as_json: bool
) -> None:
    """Edit the running topology in an editor, and apply the changes, live.

    VISUAL or EDITOR names the editor. What you save is checked; if it has problems, you can
    edit it again. What others have changed meanwhile is kept; if somebody has changed the same
    value, nothing is changed. Exits with 1 when not everything is ready in time.
    """
    from testbed.lifecycle.live import live  # noqa: PLC0415 - pydantic is slow to import
    from testbed.plan.json_diff import differences, patched  # noqa: PLC0415
    from testbed.topology.file.export import export  # noqa: PLC0415

    client = connect(name)
    now = live(client)
    folder = Path(tempfile.mkdtemp(prefix="testbed-"))
    file = folder / f"{client.name}.yaml"
    wanted = _edited(file, export(now.document), now)
    if wanted is None:
        shutil.rmtree(folder)
        click.echo(f"{client.name}: nothing was changed")
        return
    mine = differences(now.document.data, wanted.data)

    def merged(document: Document) -> Document:
        return replace(wanted, data=patched(document.data, mine))

    try:
        change(context, client, merged, wait=wait, timeout=timeout, as_json=as_json)
    except UsageError:
        click.echo(f"your changes are kept in {file}", err=True)
        raise
    shutil.rmtree(folder)


def _edited(file: Path, text: str, now: Live) -> Document | None:
    """The document as the user has edited it; None if it was left as it was."""
    from testbed.cli.failures import show  # noqa: PLC0415

    file.write_text(text)
    while True:
        click.edit(filename=str(file))
        if (saved := file.read_text()) == text:
            return None
        try:
            return _read(file, saved, now)
        except TopologyError as error:
            if sys.stdin.isatty():
                show(error)
            if not sys.stdin.isatty() or not click.confirm("edit it again?", default=True):
                click.echo(f"your changes are kept in {file}", err=True)
                raise


def _read(file: Path, saved: str, now: Live) -> Document:
    """Check what was saved; files that it names are the running ones, else those of its source."""
    from testbed.topology.file.load import parse  # noqa: PLC0415

    folder = Path(now.source.get("file", file)).parent
    source = parse(saved, file=file.name)
    document, _ = replace(source, directory=folder, files=now.document.files).resolve()
    return document
