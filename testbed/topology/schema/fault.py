"""The form of a declared fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, create_model

from testbed.faults.catalog import KINDS
from testbed.topology.schema.base import Form
from testbed.topology.values import Name

Value = str | int | float
Text = Annotated[str, Field(min_length=1, max_length=100)]


class _Declared(Form):
    """A fault, injected on purpose (docs/faults.md).

    Its parameters are checked against its kind once there is a plan
    (`testbed.lower.faults`).
    """

    kind: Text = Field(description="Its kind: one of those that testbed fault --list shows.")
    target: Text = Field(description="Its target: NODE, NODE:INTERFACE, OUTPOST or OUTPOST.lagN.")
    name: Name | None = Field(None, description="Its name, for testbed heal.")
    at: Value | None = Field(
        None, description="When it begins, after the testbed is ready: 30s, 1m30s."
    )
    lasts: Value | None = Field(None, alias="for", description="How long it lasts: 500ms, 5s.")
    every: Value | None = Field(
        None, description="How often it repeats, from one beginning to the next."
    )


def parameters() -> dict[str, str]:
    """Return the parameters of all kinds, each with its meaning for these kinds."""
    meanings: dict[str, dict[str, list[str]]] = {}
    for kind in KINDS.values():
        for parameter in kind.parameters:
            meaning = meanings.setdefault(parameter.name, {})
            meaning.setdefault(parameter.help, []).append(kind.name)
    return {
        name: "; ".join(f"{', '.join(kinds)}: {text}" for text, kinds in of.items()) + "."
        for name, of in meanings.items()
    }


if TYPE_CHECKING:
    FaultForm = _Declared
else:
    _MEMBERS = {n: (Value | None, Field(None, description=d)) for n, d in parameters().items()}
    FaultForm = create_model("FaultForm", __base__=_Declared, __doc__=_Declared.__doc__, **_MEMBERS)
