"""`testbed completion`."""

from __future__ import annotations

import click

from testbed.cli.common import unused_name_option, verb

INSTALL = {
    "bash": "testbed completion bash > ~/.local/share/bash-completion/completions/testbed",
    "zsh": "testbed completion zsh > ~/.zfunc/_testbed   # in $fpath, before compinit",
    "fish": "testbed completion fish > ~/.config/fish/completions/testbed.fish",
}


@verb("completion", "\n".join(f"testbed completion {shell}" for shell in INSTALL))
@click.argument("shell", type=click.Choice(list(INSTALL)))
@unused_name_option
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script for a shell. Its first line says how to install it."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415

    from testbed.cli import cli  # noqa: PLC0415

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(cli, {}, "testbed", "_TESTBED_COMPLETE").source()
    if shell == "zsh":  # compinit reads the first line
        head, _, rest = script.partition("\n")
        script = f"{head}\n# Install: {INSTALL[shell]}\n{rest}"
    else:
        script = f"# Install: {INSTALL[shell]}\n{script}"
    click.echo(script)
    context.exit(0)
