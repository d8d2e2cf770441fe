"""`testbed version`."""

from __future__ import annotations

import click

from testbed import __version__
from testbed.cli.common import echo_json, json_option, unused_name_option, verb
from testbed.control.protocol import PROTOCOL_VERSION


@verb("version", "testbed version --json")
@json_option
@unused_name_option
def command(*, as_json: bool) -> None:
    """Print the version."""
    if as_json:
        echo_json({"version": __version__, "protocol": PROTOCOL_VERSION})
    else:
        click.echo(f"testbed {__version__}")
