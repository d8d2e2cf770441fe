"""What AWS keeps of objects beside what packets meet, as the topology file has it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from testbed.topology.schema.base import Form


class ObjectRecordForm(Form):
    """What AWS's endpoint keeps of an object (docs/api.md)."""

    tags: dict[str, str] = Field(default={}, description="Its tags. Default: none.")
    created: float | None = Field(
        None, description="When it was created, in seconds since 1970. Default: not known."
    )
    deleted: float | None = Field(
        None, description="When it was deleted, in seconds since 1970. Default: it exists."
    )
    token: str | None = Field(
        None, description="The client token of the call that created it. Default: none."
    )
    kind: str | None = Field(
        None, description="What it is, if it is nowhere else in the file. Default: it is."
    )
    values: dict[str, Any] = Field(
        default={}, description="Other attributes, which packets don't meet. Default: none."
    )
