"""`testbed plan`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from testbed.cli.common import (
    echo_json,
    json_option,
    name_option,
    parse_settings,
    read_plan,
    set_option,
    topology_argument,
    unknown_node,
    verb,
)
from testbed.errors import TestbedError, UsageError

if TYPE_CHECKING:
    from testbed.plan.model import Plan


@verb(
    "plan",
    "testbed plan two-racks\ntestbed plan two-racks op-a.ond1 --brief\n"
    "testbed plan site.yaml --json > plan.json\ntestbed plan site.yaml --device cnd1 --diff",
)
@topology_argument()
@click.argument("only", nargs=-1, metavar="[NODE]...")
@set_option
@click.option(
    "--tree", "form", flag_value="tree", default="tree", help="Print a tree (the default)."
)
@click.option("--table", "form", flag_value="table", help="Print tables.")
@click.option("--brief", is_flag=True, help="Leave out the text of configuration files.")
@click.option(
    "--device",
    metavar="DEVICE",
    help="Print the configuration that is generated for a customer device.",
)
@click.option(
    "--diff",
    "differ",
    is_flag=True,
    help="With --device: show the device's own configuration against the generated one.",
)
@name_option("Use this name instead of the file's.")
@json_option
def command(
    file: str,
    only: tuple[str, ...],
    *,
    settings: tuple[str, ...],
    form: str,
    brief: bool,
    device: str | None,
    differ: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Print what a topology becomes in Linux, including every derived value.

    Needs no privileges and changes nothing.
    """
    if device is not None or differ:
        _configuration(file, settings, name, device, differ=differ, as_json=as_json)
        return
    plan = read_plan(file, settings, name)
    known = {node.name: node for node in plan.nodes}
    for wanted in only:
        if wanted not in known:
            raise unknown_node(wanted, plan)
    nodes = [known[wanted] for wanted in only] or list(plan.nodes)
    _warn(plan)
    if as_json:
        from testbed.plan.codec import to_json  # noqa: PLC0415

        data = to_json(plan)
        if only:
            data["nodes"] = [node for node in data["nodes"] if node["name"] in only]
            data["checks"] = [check for check in data["checks"] if check["node"] in only]
        echo_json(data)
        return
    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.plans import plan_tables, plan_tree  # noqa: PLC0415

    output = console()
    if form == "table":
        for table in plan_tables(plan, nodes):
            output.print(table)
    else:
        output.print(plan_tree(plan, nodes, brief=brief), soft_wrap=True)


def _configuration(
    file: str,
    settings: tuple[str, ...],
    name: str | None,
    device: str | None,
    *,
    differ: bool,
    as_json: bool,
) -> None:
    """Print what is generated for a customer device, or how its own configuration differs."""
    from testbed.lifecycle.device_diff import difference, generated  # noqa: PLC0415
    from testbed.lifecycle.installation import load_topology  # noqa: PLC0415 - pydantic is slow

    if device is None:
        raise UsageError("--diff is about one device", hint="say which: --device DEVICE")
    topology = load_topology(file, parse_settings(settings), name)
    text = difference(topology, device) if differ else generated(topology, device)
    if as_json:
        echo_json({"device": device, "diff" if differ else "configuration": text})
    else:
        click.echo(text, nl=False)


def _warn(plan: Plan) -> None:
    """Say what `up` would have to recreate in the testbed that runs under this name."""
    from testbed.control import registry  # noqa: PLC0415
    from testbed.control.client import Client  # noqa: PLC0415
    from testbed.plan.replaced import replaced  # noqa: PLC0415

    if not registry.alive(plan.name):
        return
    with contextlib.suppress(TestbedError):  # it may belong to another user, or be ending
        for text in replaced(Client.connect(plan.name).plan()[0], plan):
            click.echo(f"note: with testbed up, {text}", err=True)
