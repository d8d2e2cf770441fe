"""How long the testbeds of a run are needed: which test is the last one that takes each."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from testbed.pytest_plugin.pool import Key

FIXTURES = ("testbed", "testbed_factory")


class Lifetimes:
    """After which test each testbed is over.

    A process of pytest-xdist does not know which of the tests it will be given,
    but with ``--dist loadgroup`` that it is given whole groups, one after the
    other. With its other ways of distributing tests nothing is over before the end.
    """

    def __init__(
        self, items: Sequence[pytest.Item], wanted: Callable[[pytest.Item], Key | None]
    ) -> None:
        last: dict[str | bool | None, dict[Key, pytest.Item]] = defaultdict(dict)
        for item in items:
            if (group := _group(item)) is False:
                continue
            if (key := wanted(item)) is not None:
                last[group][key] = item
            elif not set(FIXTURES).isdisjoint(getattr(item, "fixturenames", ())):
                # It may ask for any of them.
                last[group] = dict.fromkeys(last[group], item)
        self._over: dict[pytest.Item, list[Key]] = defaultdict(list)
        for keys in last.values():
            for key, item in keys.items():
                self._over[item].append(key)

    def over_after(self, item: pytest.Item) -> Sequence[Key]:
        """Return the keys of the testbeds that no test after this one takes."""
        return self._over.get(item, ())


def _group(item: pytest.Item) -> str | bool | None:
    """Return the tests that one process runs together: their name, None: all; False: unknown."""
    if not hasattr(item.config, "workerinput"):
        return None
    if not item.config.getoption("loadgroup", False):
        return False
    _, at, group = item.nodeid.rpartition("@")
    return group if at else False
