"""`testbed schema`."""

from __future__ import annotations

from testbed.cli.common import echo_json, json_option, unused_name_option, verb


@verb("schema", "testbed schema > topology.schema.json")
@json_option
@unused_name_option
def command(*, as_json: bool) -> None:  # noqa: ARG001 - the schema is JSON anyway
    """Print the JSON Schema of the topology file."""
    from testbed.topology.schema import json_schema  # noqa: PLC0415

    echo_json(json_schema())
