"""Errors that reach the user, and the exit code each one means.

Every error carries a sentence about what is wrong and, where there is one, a
hint with the remedy. The command line prints both and exits with
`exit_code`: 1 the network says no, 2 wrong usage or input, 3 the host cannot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

EXIT_NETWORK = 1
EXIT_USAGE = 2
EXIT_HOST = 3
SUGGESTED, LISTED = 4, 40  # nodes that a hint names at most: likely ones, all
LONGEST_TEXT = 600  # characters of a message that may quote what the user wrote

Path = tuple[str | int, ...]  # to a value in a topology's data: keys and indexes
# An error code of AWS's as messages quote it: "InvalidSubnet.Conflict: …", "(Gateway.NotAttached)".
_AWS_CODE = re.compile(
    r"(?:^|[ (])([A-Z][A-Za-z]+\.[A-Z][A-Za-z]+"
    r"|(?:Invalid|Insufficient|Duplicate)[A-Z][A-Za-z]+"
    r"|[A-Z][A-Za-z]+(?:Exceeded|AlreadyExists))[:)]"
)


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


class ConflictError(UsageError):
    """What a change was made from is no longer what runs: read it again, and try again."""

    def to_json(self) -> dict[str, Any]:
        """The usual members, and by what a client knows that it lost a race."""
        return {**super().to_json(), "kind": "conflict"}


class HostError(TestbedError):
    """This machine cannot do what was asked: a program, feature or right is missing."""

    exit_code = EXIT_HOST


def shorten(text: str, limit: int = 60) -> str:
    """Make a text of the user's fit to be shown on one line."""
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def dotted(path: Sequence[str | int]) -> str:
    """Write a path as people do: ``outposts.op-a.service_link.vifs[0].vlan``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = shorten(step) or "''"
            text += f".{name}" if text else name
    return text or "topology"


def aws_code(message: str) -> str | None:
    """Find the error code of AWS's that a message quotes, such as `InvalidSubnet.Conflict`."""
    found = _AWS_CODE.search(message)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong in a topology's document.

    `path` leads to the value, or to its key where `at_key`; `rule` is the part of the
    checks that found it, such as ``schema``, ``references`` or ``security``; `aws_code` is
    the error code with which AWS refuses it, where the message quotes one.
    """

    path: Path
    rule: str
    message: str
    remedy: str | None = None
    aws_code: str | None = None
    at_key: bool = False

    def __str__(self) -> str:
        text = f"{dotted(self.path)}: {self.message}"
        return f"{text}\n    hint: {self.remedy}" if self.remedy else text

    def to_json(self) -> dict[str, Any]:
        """As `--json` output has it; ``object`` is the path as people write it."""
        return {
            "path": list(self.path),
            "object": dotted(self.path),
            "rule": self.rule,
            "message": self.message,
            "hint": self.remedy,
            "aws_code": self.aws_code,
        }


class DocumentError(UsageError):
    """A topology's document with one or more violations, all of them reported at once."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("\n".join(str(violation) for violation in violations))

    def to_json(self) -> dict[str, Any]:
        """The violations as objects, beside the usual members."""
        return {**super().to_json(), "violations": [each.to_json() for each in self.violations]}


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
    """A topology file with one or more problems, all of them reported at once.

    `violations` are those of its document, without what is wrong with the file itself.
    """

    def __init__(self, problems: list[Problem], violations: Sequence[Violation] = ()) -> None:
        self.problems = problems
        self.violations = tuple(violations)
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
    if data.get("kind") == "conflict":
        cls = ConflictError
    return cls(data.get("message", "unknown error"), hint=data.get("hint"))
