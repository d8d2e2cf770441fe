"""Tags of all objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testbed.api.errors import ApiError
from testbed.api.filters import select
from testbed.api.operations import Ask, Result, Work, changes, looks, read_tags
from testbed.api.records import tags

MOST = 50


@looks("DescribeTags")
def describe_tags(ask: Ask) -> Result:
    """Describe tags."""
    rows = [
        {
            "ResourceId": id_,
            "ResourceType": ask.world.objects[id_].kind,
            "Key": key,
            "Value": value,
        }
        for id_, entry in ask.world.records.items()
        for key, value in entry.get("tags", {}).items()
        if id_ in ask.world.objects
    ]
    return {"Tags": select(ask, rows, "Tags")}


def _change(ask: Ask, change: Callable[[dict[str, str]], dict[str, str]]) -> Work:
    """Change the tags of all objects that a call names."""
    for id_ in ask["Resources"]:
        if id_ not in ask.world.objects:
            message = f"The ID '{id_}' is not valid"
            raise ApiError("InvalidID", message)
    steps = tuple(tags(id_, change) for id_ in ask["Resources"])
    return Work(steps=steps, answer=lambda _: {})


@changes("CreateTags")
def create_tags(ask: Ask) -> Work:
    """Give objects tags, or other values of these."""
    given = read_tags(ask["Tags"])

    def with_given(there: dict[str, str]) -> dict[str, str]:
        merged = {**there, **given}
        if len(merged) > MOST:
            raise ApiError("TagLimitExceeded", f"The maximum number of tags is {MOST}.")
        return merged

    return _change(ask, with_given)


@changes("DeleteTags")
def delete_tags(ask: Ask) -> Work:
    """Take tags from objects: all, or those with these keys, and values where they are given."""
    given: list[dict[str, Any]] | None = ask.get("Tags")

    def without(there: dict[str, str]) -> dict[str, str]:
        if given is None:
            return {}
        gone = {
            tag["Key"]
            for tag in given
            if "Value" not in tag or there.get(tag["Key"]) == tag["Value"]
        }
        return {key: value for key, value in there.items() if key not in gone}

    return _change(ask, without)
