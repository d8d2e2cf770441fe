"""How often what happens by chance is tried: a few times, many with TESTBED_THOROUGH=1."""

from __future__ import annotations

import os

THOROUGH = os.environ.get("TESTBED_THOROUGH", "") not in {"", "0"}


def times(few: int, many: int) -> int:
    """How often to try, in a usual run and in a thorough one."""
    return many if THOROUGH else few


def sites(many: int) -> int:
    """How many sites to make up in a thorough run; TESTBED_SITES sets another number."""
    return int(os.environ.get("TESTBED_SITES", many))
