"""Options and helpers that several verbs share."""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from testbed.cli.encoding import has_every_character
from testbed.errors import TestbedError, UsageError, no_such_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from click.shell_completion import CompletionItem

    from testbed.control.client import Client
    from testbed.plan.model import Plan

Function = TypeVar("Function", bound="Callable[..., Any]")


class Verb(click.Command):
    """A verb. Its errors know whether the user asked for JSON."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except TestbedError as error:
            error.as_json = bool(ctx.params.get("as_json"))  # type: ignore[attr-defined]
            raise

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002
        """Return the first sentence of the help in full: the list of verbs wraps it."""
        return super().get_short_help_str(limit=200)


def verb(name: str, example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Declare a verb. Its help ends with the lines of `example`."""
    lines = "".join(f"  {line}\n" for line in example.strip().splitlines())

    def declare(function: Callable[..., Any]) -> click.Command:
        epilog = f"\b\nExample:\n{lines}"
        return click.command(name, cls=Verb, epilog=epilog)(function)

    return declare


def complete_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a running testbed."""
    from testbed.control.registry import running  # noqa: PLC0415

    return items(running, incomplete)


def complete_nodes(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the name of a node of the chosen testbed."""
    chosen = context.params.get("name") or os.environ.get("TESTBED_NAME")
    return items(
        lambda: [node["name"] for node in connect(chosen).plan_json()["plan"]["nodes"]], incomplete
    )


def complete_places(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete a node of the chosen testbed and, after a colon, one of its interfaces."""
    chosen = context.params.get("name") or os.environ.get("TESTBED_NAME")
    node, colon, _interface = incomplete.partition(":")

    def read() -> Iterable[str]:
        for entry in connect(chosen).plan_json()["plan"]["nodes"]:
            if not colon:
                yield entry["name"]
            elif entry["name"] == node:
                yield from (f"{node}:{each['name']}" for each in entry.get("interfaces", ()))

    return items(read, incomplete)


def complete_topologies(
    _: click.Context, __: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete a topology's name, or a file."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    from testbed.lifecycle.finding import known  # noqa: PLC0415

    file = CompletionItem(incomplete, type="file")
    return [file, *items(lambda: (entry.name for entry in known()), incomplete)]


def topology_argument(
    parameter: str = "file", *, metavar: str = "TOPOLOGY", **how: Any
) -> Callable[[Function], Function]:
    """Declare the argument that is a topology: a file, or the name of one that is known."""
    return click.argument(parameter, metavar=metavar, shell_complete=complete_topologies, **how)


def items(read: Callable[[], Iterable[str]], incomplete: str) -> list[CompletionItem]:
    """Return the words of `read` that begin with `incomplete`; none if it fails."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    try:
        words = list(read())
    except (TestbedError, OSError):
        return []
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def timeout_option(help_text: str = "How long to wait.") -> Callable[[Function], Function]:
    """`--timeout`, in seconds of this machine."""
    return click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=120.0,
        show_default=True,
        metavar="SECONDS",
        help=help_text,
    )


def name_option(
    help_text: str = "The testbed. Not needed if exactly one runs.",
) -> Callable[[Function], Function]:
    """Declare the option `-n/--name`, also set by TESTBED_NAME."""
    return click.option(
        *("-n", "--name", "name"),
        envvar="TESTBED_NAME",
        show_envvar=True,
        metavar="NAME",
        help=help_text,
        shell_complete=complete_names,
    )


def unused_name_option(function: Function) -> Function:
    """Accept `-n/--name` where it means nothing, so that every verb takes it."""
    option = click.option("-n", "--name", hidden=True, expose_value=False)
    return option(function)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a variable of a topology template. Repeatable.",
)

node_argument = functools.partial(click.argument, shell_complete=complete_nodes)


def parse_settings(pairs: Iterable[str]) -> dict[str, str]:
    """Return the template variables of `--set key=value`."""
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            message = f"--set {pair[:80]!r} is not KEY=VALUE"
            raise UsageError(message, hint="for example: --set uplinks=4")
        settings[key] = value
    return settings


def choose_name(name: str | None) -> str:
    """Return the name of the testbed that is meant: the one named, else the one that runs."""
    if name is not None:
        from testbed.lifecycle.choices import check_name  # noqa: PLC0415

        return check_name(name)
    from testbed.control.registry import dead, running  # noqa: PLC0415

    names = running() or list(dead())
    if len(names) == 1:
        return names[0]
    if names:
        hint = "choose one with -n NAME or TESTBED_NAME"
        raise UsageError(f"several testbeds are running: {', '.join(names)}", hint=hint)
    hint = "start one: testbed up TOPOLOGY"
    if os.geteuid() != 0:
        hint += "; use sudo for testbeds that root started"
    raise UsageError("no testbed is running", hint=hint)


def connect(name: str | None) -> Client:
    """Connect to the testbed that is meant."""
    from testbed.control.client import Client  # noqa: PLC0415

    return Client.connect(choose_name(name))


def read_plan(file: str, settings: Iterable[str], name: str | None) -> Plan:
    """Return the plan of a topology, as `up` would bring the testbed of its name to it."""
    from testbed.lifecycle.installation import read_file  # noqa: PLC0415 - pydantic is slow

    return read_file(file, parse_settings(settings), name, previous=numbers_of).plan


def document_of(name: str) -> dict[str, Any]:
    """Return what a testbed is made from (docs/protocol.md); nothing where none of ours runs."""
    from testbed.control.client import Client  # noqa: PLC0415
    from testbed.control.protocol import NAME_PATTERN  # noqa: PLC0415
    from testbed.control.registry import alive  # noqa: PLC0415

    if not NAME_PATTERN.fullmatch(name) or not alive(name):
        return {}
    try:
        return Client(name).document()
    except TestbedError:  # another user's, or just ending
        return {}


def numbers_of(name: str) -> Mapping[str, Mapping[str, int]]:
    """Return the numbers that a testbed's objects have; none where it does not run."""
    numbers: Mapping[str, Mapping[str, int]] = document_of(name).get("numbers", {})
    return numbers


ipv6_option = click.option("-6", "--ipv6", is_flag=True, help="Use the destination's IPv6 address.")


def echo_json(data: Any) -> None:
    """Print data as JSON."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=not has_every_character()))


def unknown_node(name: str, plan: Plan) -> UsageError:
    """Return the error for a node that is not in the plan."""
    return no_such_node(name, plan.name, [node.name for node in plan.nodes])


def is_terminal(stream: Any = None) -> bool:
    """Return whether standard output (or the stream) is a terminal."""
    target = sys.stdout if stream is None else stream
    return bool(target and target.isatty())
