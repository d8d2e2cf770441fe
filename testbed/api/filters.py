"""The filters that describe operations have, and the lists of identifiers.

Most of EC2's filters are named after members of the answer: `vpc-id` is VpcId,
`attachment.instance-id` the InstanceId in Attachment or Attachments. The others have a
path each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from botocore.model import Shape

from testbed.api.codec.models import service_model
from testbed.api.codec.scalars import write_text
from testbed.api.errors import ApiError
from testbed.api.operations import Ask, missing

Row = dict[str, Any]
MOST_VALUES = 200


def select(
    ask: Ask,
    rows: Iterable[Row],
    key: str,
    *,
    ids: tuple[str, str, str] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> list[Row]:
    """Return those of the rows under `key` of the answer that a call asks for.

    `ids` are the parameter with identifiers, the member that has a row's, and its kind;
    `aliases` are the paths of filters that are not named after members.
    """
    found = list(rows)
    if ids and ask.get(ids[0]):
        by_id = {row[ids[1]]: row for row in found}
        for id_ in ask[ids[0]]:
            if id_ not in by_id:
                raise missing(ids[2], id_)
        found = [by_id[id_] for id_ in dict.fromkeys(ask[ids[0]])]
    shape = _row_shape(ask.operation, key)
    for given in ask.get("Filters") or ask.get("Filter") or []:
        found = list(_matching(found, shape, given, aliases or {}))
    return found


@cache
def _row_shape(operation: str, key: str) -> Any:
    shape: Any = service_model("ec2").operation_model(operation).output_shape
    return shape.members[key].member


def _matching(
    rows: Sequence[Row], shape: Any, given: Row, aliases: Mapping[str, str]
) -> Iterator[Row]:
    name, wanted = str(given.get("Name", "")), [str(v) for v in given.get("Values") or []]
    if len(wanted) > MOST_VALUES:
        message = f"The maximum number of filter values specified on a single call is {MOST_VALUES}"
        raise ApiError("FilterLimitExceeded", message)
    read = _reader(name, shape, aliases)
    patterns = [_pattern(text) for text in wanted]
    for row in rows:
        if any(fnmatchcase(text, pattern) for text in read(row) for pattern in patterns):
            yield row


def _pattern(text: str) -> str:
    """Return a value of a filter as a pattern of the shell: of those, it knows * and ? only."""
    return text.replace("[", "[[]").replace(r"\*", "[*]").replace(r"\?", "[?]")


def _reader(name: str, shape: Any, aliases: Mapping[str, str]) -> Any:
    """Return a function from a row to the texts that a filter compares."""
    if name.startswith("tag:"):
        key = name[4:]
        return lambda row: [t["Value"] for t in row.get("Tags", ()) if t["Key"] == key]
    if name in ("tag-key", "tag-value"):
        member = "Key" if name == "tag-key" else "Value"
        return lambda row: [tag[member] for tag in row.get("Tags", ())]
    path = aliases.get(name, name)
    steps = _steps(path, shape)
    if steps is None:
        raise ApiError("InvalidParameterValue", f"The filter '{name[:100]}' is invalid")
    return lambda row: list(_texts(row, steps, shape))


def _steps(path: str, shape: Any) -> list[str] | None:
    """Return the members of an answer that a path leads through; None where there are none."""
    steps: list[str] = []
    for word in path.split("."):
        if shape.type_name == "list":
            shape = shape.member
        if shape.type_name != "structure":
            return None
        wanted = re.sub(r"[^a-z0-9]", "", word.lower())
        plain = {member.lower(): member for member in shape.members}
        options = (wanted, f"{wanted}s", f"{wanted}set", f"{wanted}es")
        member = next((plain[each] for each in options if each in plain), None)
        if member is None:
            return None
        steps.append(member)
        shape = shape.members[member]
    return steps


def _texts(value: Any, steps: Sequence[str], shape: Shape) -> Iterator[str]:
    inner: Any = shape
    if isinstance(value, list):
        for each in value:
            yield from _texts(each, steps, inner.member)
    elif steps and isinstance(value, dict):
        if value.get(steps[0]) is not None:
            yield from _texts(value[steps[0]], steps[1:], inner.members[steps[0]])
    elif not steps and value is not None and not isinstance(value, dict):
        yield write_text(shape, value)
