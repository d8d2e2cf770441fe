"""What operations are: changes of documents, and the errors of those that AWS refuses."""

from __future__ import annotations

import copy
import inspect
import json
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Concatenate, ParamSpec

from testbed.errors import Path, UsageError, dotted, shorten
from testbed.topology.document import Document
from testbed.topology.editing.tree import Data

P = ParamSpec("P")


class EditError(UsageError):
    """An operation that AWS refuses, or whose object is not there; the document is as it was.

    `message` is in AWS's words, `aws_code` AWS's code for it (None for what is not AWS's, such
    as the customer's site), `path` the place in the document, `remedy` what to do about it.
    """

    def __init__(
        self, aws_code: str | None, message: str, path: Path, remedy: str | None = None
    ) -> None:
        super().__init__(message, hint=remedy)
        self.aws_code = aws_code
        self.path = path
        self.remedy = remedy

    def __str__(self) -> str:
        code = f"{self.aws_code}: " if self.aws_code else ""
        return f"{dotted(self.path)}: {code}{self.message}"

    def to_json(self) -> dict[str, Any]:
        """Return the error's members for `--json` output, code and path among them."""
        place = {"path": list(self.path), "object": dotted(self.path)}
        return {**super().to_json(), **place, "aws_code": self.aws_code}


@dataclass(frozen=True, repr=False)
class Change:
    """A change of a document, made by an operation and its arguments.

    Call it with a document: it returns another, which shares what the change leaves alone, and
    raises EditError where AWS refuses the operation. What else is wrong with the new document,
    `resolve` says.
    """

    operation: str
    arguments: Mapping[str, Any]
    apply: Callable[[Document], Document] = field(compare=False)

    def __call__(self, document: Document) -> Document:
        """Return the changed document."""
        return self.apply(document)

    def __str__(self) -> str:
        shown = (f"{name}={_shown(value)}" for name, value in self.arguments.items())
        return f"{self.operation}({', '.join(shown)})"

    __repr__ = __str__


OPERATIONS: dict[str, Callable[..., Change]] = {}


def operation(function: Callable[Concatenate[Data, P], Data]) -> Callable[P, Change]:
    """Make an operation of a function that takes data and arguments, and returns other data."""
    text = inspect.getdoc(function) or ""
    made: Any = make_operation(function.__name__, function, _parameters(function), text)
    made.__module__ = function.__module__
    checked: Callable[P, Change] = made
    return checked


def make_operation(
    name: str, function: Callable[..., Data], parameters: list[inspect.Parameter], text: str
) -> Callable[..., Change]:
    """Make an operation of a function of data and keyword arguments, which `parameters` are."""

    def on_document(document: Document, **given: Any) -> Document:
        return replace(document, data=function(document.data, **given))

    return on_documents(name, on_document, parameters, text)


def on_documents(
    name: str, function: Callable[..., Document], parameters: list[inspect.Parameter], text: str
) -> Callable[..., Change]:
    """Make an operation of a function of a document and keyword arguments."""
    signature = inspect.Signature(parameters, return_annotation=Change)

    def make(*args: Any, **kwargs: Any) -> Change:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}(): {error}") from None
        given = copy.deepcopy(bound.kwargs)  # the caller may change its lists later
        return Change(name, given, lambda document: function(document, **given))

    make.__name__ = make.__qualname__ = name
    make.__doc__ = text
    make.__signature__ = signature  # type: ignore[attr-defined]
    OPERATIONS[name] = make
    return make


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return an operation's parameters, with each of the arguments that a TypedDict names."""
    found: list[inspect.Parameter] = []
    hints = typing.get_type_hints(function)
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            found.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        (named,) = typing.get_args(hints[parameter.name])
        found += [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
            for key, hint in typing.get_type_hints(named).items()
        ]
    return found


def together(*changes: Change) -> Change:
    """Make one change of several, all or none; documents between them need not be right."""

    def apply(document: Document) -> Document:
        for change in changes:
            document = change(document)
        return document

    return Change("together", {"changes": changes}, apply)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(shorten(value), ensure_ascii=False)
    return repr(value)
