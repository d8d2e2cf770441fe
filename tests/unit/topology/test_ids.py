"""Identifiers in AWS's form: from names alone, of the right form, told apart."""

from __future__ import annotations

import re
from typing import get_args

from testbed.topology.ids import PREFIXES, ResourceType, aws_id, outpost_arn


def test_they_have_a_prefix_and_seventeen_digits() -> None:
    assert set(PREFIXES) == set(get_args(ResourceType))
    for kind, prefix in PREFIXES.items():
        assert re.fullmatch(rf"{prefix}-[0-9a-f]{{17}}", aws_id(kind, "app"))
    assert len(set(PREFIXES.values())) == len(PREFIXES)


def test_they_are_the_same_for_the_same_name_and_counter() -> None:
    assert aws_id("instance", "web") == "i-0077eda50944fdc37"
    same = {aws_id("instance", "web"), aws_id("instance", "web", 0)}
    others = {aws_id("instance", "web", 1), aws_id("instance", "web", 2), aws_id("instance", "db")}
    assert len(same) == 1
    assert len(same | others) == 4


def test_an_outposts_resource_name_has_its_identifier() -> None:
    arn = outpost_arn("us-west-2", "op-a")
    assert arn.endswith(f":outpost/{aws_id('outpost', 'op-a')}")
