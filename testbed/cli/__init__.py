"""The command `testbed`: one file for each verb, imported only when the verb is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

from testbed import __version__
from testbed.cli import encoding, failures

if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = (
    "up",
    "down",
    "list",
    "status",
    "metrics",
    "inspect",
    "plan",
    "validate",
    "schema",
    "import",
    "diff",
    "set",
    "unset",
    "edit",
    "export",
    "exec",
    "shell",
    "ping",
    "check",
    "trace",
    "server",
    "fault",
    "heal",
    "chaos",
    "outage",
    "capture",
    "reach",
    "perf",
    "advance",
    "events",
    "watch",
    "api",
    "logs",
    "bundle",
    "graph",
    "doctor",
    "kernel",
    "completion",
    "version",
)


class Verbs(click.Group):
    """The group of all verbs. Turns the errors that they raise into messages and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """List all verbs, in the order of a day's work."""
        return [*VERBS]  # `list` is one of the modules here, once imported

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the verb's module and return its `command`."""
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(f"testbed.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise failures.ReaderGoneError from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, and suggest a likely one where there is none of that name."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise failures.unknown_verb(args[0], VERBS, ctx)
        return super().resolve_command(ctx, args)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002, RUF100 - click's signature
        **extra: Any,
    ) -> Any:
        """Run the command line and exit with a code that the help lists."""

        def run() -> Any:
            return super(Verbs, self).main(
                args, prog_name, complete_var, standalone_mode=False, **extra
            )

        return failures.run(run) if standalone_mode else run()


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "\b\nExample:\n  testbed up two-racks\n  testbed ping a b\n\n"
        "Exit codes: 0 success, 1 a network problem, 2 wrong usage or input, 3 a host problem."
    ),
)
@click.version_option(__version__, message="testbed %(version)s")
def cli() -> None:
    """Emulate the network of an AWS Outposts installation, packet by packet."""


def main() -> None:
    """Run the command `testbed`."""
    encoding.write_any_character()
    cli(prog_name="testbed")
