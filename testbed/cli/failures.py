"""Messages and exit codes of commands that fail."""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from testbed.cli.encoding import has_every_character
from testbed.control.printable import printable
from testbed.control.protocol import limits
from testbed.errors import EXIT_HOST, EXIT_USAGE, DocumentError, TestbedError, TopologyError, dotted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
BROKEN_PIPE = 141  # 128 + SIGPIPE
NO_MEMORY = ("failed to map segment", "cannot allocate memory", "Cannot allocate memory")
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
BUGS = "https://github.com/outpost-testbed/outpost-testbed/issues"


class ReaderGoneError(Exception):
    """Nobody reads the output any more. Click would exit with status 1 at a BrokenPipeError."""


def run(command: Callable[[], Any]) -> None:
    """Run the command line and exit with the code that its outcome means."""
    sys.exit(_outcome(command))


def _outcome(command: Callable[[], Any]) -> int:
    try:
        code = command()
        if sys.stdout is not None:  # None: it was closed before we started
            sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = INTERRUPTED
    except (BrokenPipeError, ReaderGoneError):
        code = BROKEN_PIPE
    except TestbedError as error:
        show(error)
        code = error.exit_code
    except Exception as error:  # noqa: BLE001 - a traceback is no message for a user
        code = _unexpected(error)
    if code == BROKEN_PIPE:
        _leave_stdout()
    return code if isinstance(code, int) else 0


def warn(text: str) -> None:
    """Print a warning on standard error: what is legal, but probably a mistake."""
    click.echo(f"{click.style('warning:', fg='yellow', bold=True)} {text}", err=True)


def _unexpected(error: Exception) -> int:
    """Report what is no error of ours: a full disk under the output, else a bug."""
    if isinstance(error, OSError) and error.errno in FULL:
        _leave_stdout()
        _print("error:", f"cannot write: {os.strerror(error.errno).lower()}", None)
    elif (number := _limit(error)) is not None:
        _print("error:", f"cannot continue: {os.strerror(number).lower()}", limits(number))
    else:
        _show_bug(error)
    return EXIT_HOST


def _limit(error: Exception) -> int | None:
    """The number of the error that a limit of this process is behind; None for any other."""
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(error, ImportError) and any(word in str(error) for word in NO_MEMORY):
        return errno.ENOMEM
    number = error.errno if isinstance(error, OSError) else None
    return number if limits(number) else None


def _leave_stdout() -> None:
    """Nobody reads our output: end quietly, also when the interpreter flushes it."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (AttributeError, OSError, ValueError):
        pass


def show(error: TestbedError) -> None:
    """Print the error and its hint on standard error; with --json as an object on stdout too."""
    if getattr(error, "as_json", False):
        ascii_only = not has_every_character()
        click.echo(json.dumps({"error": error.to_json()}, indent=2, ensure_ascii=ascii_only))
    if isinstance(error, TopologyError):
        _show_problems(error)
        return
    if isinstance(error, DocumentError):
        _show_violations(error)
        return
    _print("error:", error.message, error.hint)


def _show_problems(error: TopologyError) -> None:
    for problem in error.problems:
        place = click.style(f"{problem.file}:{problem.line}:{problem.column}:", bold=True)
        click.echo(f"{place} {problem.object}: {printable(problem.message)}", err=True)
        if problem.hint:
            click.echo(_hint(problem.hint), err=True)
    _nothing_changed(len(error.problems))


def _show_violations(error: DocumentError) -> None:
    for violation in error.violations:
        place = click.style(f"{dotted(violation.path)}:", bold=True)
        click.echo(f"{place} {printable(violation.message)}", err=True)
        if violation.remedy:
            click.echo(_hint(violation.remedy), err=True)
    _nothing_changed(len(error.violations))


def _nothing_changed(count: int) -> None:
    total = f"{count} problem{'' if count == 1 else 's'}"
    click.echo(click.style(f"error: {total} found; nothing was changed", fg="red"), err=True)


def _print(label: str, message: str, hint: str | None) -> None:
    click.echo(f"{click.style(label, fg='red', bold=True)} {printable(message)}", err=True)
    if hint:
        click.echo(_hint(hint), err=True)


def _hint(text: str) -> str:
    lines = printable(text.rstrip()).replace("\n", "\n          ")
    return f"    {click.style('hint:', fg='cyan')} {lines}"


def _show_bug(error: Exception) -> None:
    if os.environ.get("TESTBED_DEBUG") == "1":
        import traceback  # noqa: PLC0415

        traceback.print_exception(error)
    text = f"{type(error).__name__}: {error}"
    hint = f"please report it, with the output of the same command under TESTBED_DEBUG=1: {BUGS}"
    _print("bug in testbed:", text, hint)


def unknown_verb(word: str, known: Sequence[str], context: click.Context) -> click.UsageError:
    """Return the error for a verb that does not exist."""
    import difflib  # noqa: PLC0415

    close = difflib.get_close_matches(word, known, n=1)
    suggestion = f" Did you mean {close[0]!r}?" if close else ""
    return click.UsageError(f"No such command {word[:80]!r}.{suggestion}", context)
