"""Errors that reach the user, and the exit code each one means.

Every error carries a sentence about what is wrong and, where there is one, a
hint with the remedy. The command line prints both and exits with
`exit_code`: 1 the network says no, 2 wrong usage or input, 3 the host cannot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

EXIT_NETWORK = 1
EXIT_USAGE = 2
EXIT_HOST = 3
SUGGESTED, LISTED = 4, 40  # nodes that a hint names at most: likely ones, all


class TestbedError(Exception):
    """Base of all errors that are meant for the user's eyes."""

    __test__ = False  # pytest would collect the class by its name
    exit_code = EXIT_HOST

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")  # where it is not caught, as in a test

    def to_json(self) -> dict[str, Any]:
        """What goes over the control socket and into `--json` output."""
        return {"message": self.message, "hint": self.hint, "exit_code": self.exit_code}


class NetworkError(TestbedError):
    """The emulated network is not in the state that was asked for."""

    exit_code = EXIT_NETWORK


class UsageError(TestbedError):
    """The command or its input is wrong; nothing was changed."""

    exit_code = EXIT_USAGE


def no_such_node(name: str, testbed: str, names: list[str]) -> UsageError:
    """Return the error for a node that does not exist; its hint names likely ones, else all."""
    import difflib  # noqa: PLC0415 - only on the way to an error

    close = [entry for entry in names if name and entry.rpartition(".")[2] == name]
    close = close[:SUGGESTED] or difflib.get_close_matches(name, names, n=1)
    if close:
        hint = f"did you mean {' or '.join(map(repr, close))}?"
    elif len(names) > LISTED:
        hint = f"there are {len(names)} nodes: `testbed inspect` lists them"
    else:
        hint = f"nodes: {', '.join(names)}"
    return UsageError(f"no node {name[:80]!r} in {testbed}", hint=hint)


def similar(name: str, known: Iterable[str], listed: Iterable[str] = ()) -> str:
    """Return the hint for an unknown name: the likely one, else those `listed` (or all)."""
    import difflib  # noqa: PLC0415 - only on the way to an error

    names = list(known)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean {close[0]!r}?"
    return f"there are: {', '.join(listed or names)}"


class HostError(TestbedError):
    """This machine cannot do what was asked: a program, feature or right is missing."""

    exit_code = EXIT_HOST


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a topology file.

    `line` and `column` count from 1; `object` is the path of the offending
    value in the file, e.g. ``outposts.op-a.service_link.asn``.
    """

    file: str
    line: int
    column: int
    object: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {self.object}: {self.message}"
        return f"{text}\n    hint: {self.hint}" if self.hint else text


class TopologyError(UsageError):
    """A topology file with one or more problems, all of them reported at once."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))

    def to_json(self) -> dict[str, Any]:
        """The problems as objects, beside the usual members."""
        fields = ("file", "line", "column", "object", "message", "hint")
        rows = [{name: getattr(p, name) for name in fields} for p in self.problems]
        return {**super().to_json(), "problems": rows}


def error_from_json(data: dict[str, Any]) -> TestbedError:
    """Rebuild an error that came over the control socket."""
    classes = {EXIT_NETWORK: NetworkError, EXIT_USAGE: UsageError, EXIT_HOST: HostError}
    cls = classes.get(data.get("exit_code", EXIT_HOST), HostError)
    return cls(data.get("message", "unknown error"), hint=data.get("hint"))
