"""Walking the topology file's form: which type is at a path, and what a key's default is."""

from __future__ import annotations

import typing
from types import NoneType, UnionType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from testbed.errors import Path

REQUIRED = object()  # stands for the default of what has none


def fields(form: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a form, by their keys in the file."""
    return {field.alias or name: field for name, field in form.model_fields.items()}


def bare(annotation: Any) -> Any:
    """Return an annotation without Annotated and without `| None`."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif origin in (typing.Union, UnionType):
            options = [arg for arg in typing.get_args(annotation) if arg is not NoneType]
            annotation = options[0]
        else:
            return annotation


def below(annotation: Any, step: str | int) -> tuple[Any, Any]:
    """Return the type under a key or index of a type, and its default.

    Both are None where there is nothing; the default is REQUIRED where there is none.
    """
    annotation = bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = fields(annotation).get(str(step))
        if field is None:
            return None, None
        return field.annotation, REQUIRED if field.is_required() else field.default
    if typing.get_origin(annotation) is dict:
        return typing.get_args(annotation)[1], REQUIRED
    if typing.get_origin(annotation) is list:
        return typing.get_args(annotation)[0], REQUIRED
    return None, None


def shape_at(form: Any, path: Path) -> Any:
    """Return the bare type that `form` has at `path`; None where it has nothing there."""
    for step in path:
        form, _ = below(form, step)
    return bare(form)
