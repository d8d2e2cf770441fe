"""Jinja2 in topology files: sandboxed, limited, no files, undefined variables are errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from testbed.errors import shorten
from testbed.topology.file.limited import ExceededError, limited
from testbed.topology.file.position import Flaw, Position, SyntaxFlawError
from testbed.topology.report import choices
from testbed.topology.values import show

MAX_SIZE = 1 << 20  # characters of a topology file, before and after rendering
MAX_EXPONENT = 64

_GLOBALS = ("range", "namespace", "dict", "cycler", "joiner")


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox in which an expression cannot make huge values."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(
        self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any
    ) -> Any:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if not numbers or (operator == "**" and abs(right) > MAX_EXPONENT):
            raise SecurityError(f"the operator {operator} only takes numbers of moderate size here")
        return super().call_binop(context, operator, left, right)


def _environment() -> _Environment:
    environment = _Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.globals = {name: environment.globals[name] for name in _GLOBALS}
    return environment


def render(text: str, settings: Mapping[str, str]) -> str:
    """The text with its Jinja2 carried out and `settings` as the variables.

    Raises SyntaxFlawError for everything that can go wrong with it.
    """

    def work() -> dict[str, Any]:
        try:
            return {"text": _render(text, settings)}
        except SyntaxFlawError as error:
            flaw = error.flaw
            return {"line": flaw.position.line, "message": flaw.message, "hint": flaw.hint}

    try:
        answer = limited(work)
    except ExceededError as error:
        hint = "a topology has at most a megabyte"
        raise _flaw(1, f"template: rendering it takes more than {error}", hint) from None
    if "text" in answer:
        return str(answer["text"])
    raise _flaw(answer["line"], answer["message"], answer["hint"])


def _render(text: str, settings: Mapping[str, str]) -> str:
    environment = _environment()
    try:
        tree = environment.parse(text)
        _check_settings(tree, settings)
        template = environment.from_string(tree)
        return _bounded(template.generate(**dict(settings)))
    except (SyntaxFlawError, MemoryError):
        raise
    except jinja2.TemplateSyntaxError as error:
        raise _flaw(error.lineno, f"template: {error.message}") from None
    except jinja2.UndefinedError as error:
        hint = "set it with --set NAME=VALUE, or write a default: {{ NAME | default(…) }}"
        raise _flaw(_line(error), f"template: {error.message}", hint) from None
    except Exception as error:  # noqa: BLE001 - a template's code may raise anything
        reason = str(error) or type(error).__name__
        raise _flaw(_line(error), f"template: {reason}") from None


def _bounded(parts: Iterable[str]) -> str:
    """The parts together, as long as they are not too long."""
    kept: list[str] = []
    size = 0
    for part in parts:
        size += len(part)
        if size > MAX_SIZE:
            raise _flaw(1, f"the rendered template has more than {MAX_SIZE} characters")
        kept.append(part)
    return "".join(kept)


def _flaw(line: int, message: str, hint: str | None = None) -> SyntaxFlawError:
    return SyntaxFlawError(Flaw(Position(max(1, line), 1), (), shorten(message, 300), hint))


def _line(error: BaseException) -> int:
    """The template's line in a traceback that Jinja2 rewrote."""
    line = 1
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _check_settings(tree: nodes.Template, settings: Mapping[str, str]) -> None:
    known = {name.name for name in tree.find_all(nodes.Name)} - set(_GLOBALS)
    for setting in settings:
        if setting not in known:
            message = f"--set {shorten(setting)}: the file has no variable {show(setting)}"
            hint = choices(setting, sorted(known), "variables")
            raise SyntaxFlawError(Flaw(Position(1, 1), (), message, hint))
