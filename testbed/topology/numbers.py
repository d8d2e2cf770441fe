"""Numbers that belong to names: identity that does not depend on an object's place in the file.

VPCs, Outposts, addresses that the file leaves out, route tables, links and the order of objects
are all numbered here. An object keeps its number for as long as it exists, whatever comes or goes
beside it; a new one gets the lowest that is free. From nothing, the order of the claims decides,
which is the file's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Mapping[str, int]] = MappingProxyType({})
END = 2**63


class Numbers:
    """Numbers by kind and name: those of before, and those that names have claimed since.

    Two names of one kind never claim the same number. A kind is a word of the module that
    claims it ("vpc"), with the object inside which its names are unique ("address/app/rack").
    """

    def __init__(self, previous: Mapping[str, Mapping[str, int]] = NOTHING) -> None:
        self._kinds = {kind: _Kind(names) for kind, names in previous.items()}

    def claim(self, kind: str, name: str, *, first: int = 1, taken: Collection[int] = ()) -> int:
        """Return the number of `name`: the one it has, or had before, else a new one.

        One that is in `taken` is not possible any more. A new one is the lowest from `first` on
        that nobody of this kind has or had before.
        """
        entry = self._kind(kind)
        if name not in entry.now and not entry.keep(name, taken):
            entry.give([name], (range(first, END),), taken)
        return entry.now[name]

    def claim_all(
        self, kind: str, names: Iterable[str], *choices: range, taken: Collection[int] = ()
    ) -> dict[str, int]:
        """Return the numbers of several names, all from `choices`, in their order of preference.

        Names that had a number go first. Where no number is left that nobody had before, those
        of names that have not claimed theirs are given away. Names that get none are left out.
        """
        entry = self._kind(kind)
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            number = entry.before.get(name)
            possible = number is not None and any(number in choice for choice in choices)
            if possible and name not in entry.now:
                entry.keep(name, taken)
        entry.give([name for name in wanted if name not in entry.now], choices, taken)
        return {name: entry.now[name] for name in wanted if name in entry.now}

    def before(self, kind: str) -> Mapping[str, int]:
        """Return what names of a kind had before."""
        return MappingProxyType(self._kind(kind).before)

    def record(self, kind: str, name: str, number: int) -> None:
        """Have a name keep a number that others of its kind may have, too."""
        self._kind(kind).set(name, number)

    def to_json(self) -> dict[str, dict[str, int]]:
        """Return what was claimed; a name that nobody claimed has lost its number."""
        return {
            kind: dict(sorted(entry.now.items(), key=lambda item: (item[1], item[0])))
            for kind, entry in sorted(self._kinds.items())
            if entry.now
        }

    @classmethod
    def from_json(cls, data: Any) -> Numbers:
        """Read what `to_json` returned; ValueError when it is anything else."""
        if not isinstance(data, dict) or not all(
            isinstance(names, dict) for names in data.values()
        ):
            raise ValueError("numbers are a mapping of kinds to mappings of names")
        for kind, names in data.items():
            for name, number in names.items():
                if type(number) is not int:
                    raise ValueError(f"the number of {kind} {name} is {number!r}")
        return cls(data)

    def _kind(self, kind: str) -> _Kind:
        return self._kinds.setdefault(kind, _Kind({}))


class _Kind:
    """The numbers of one kind."""

    def __init__(self, before: Mapping[str, int]) -> None:
        self.before = dict(before)
        self.now: dict[str, int] = {}
        self._had = frozenset(before.values())
        self._used: set[int] = set()

    def keep(self, name: str, taken: Collection[int]) -> bool:
        """Give a name the number that it had; False when it had none, or another has it now."""
        number = self.before.get(name)
        if number is None or number in taken or number in self._used:
            return False
        self.set(name, number)
        return True

    def give(
        self, names: Iterable[str], choices: tuple[range, ...], taken: Collection[int]
    ) -> None:
        """Give new numbers to names, as long as there are any."""
        unknown = self._free(choices, taken, self._had)
        for name, number in zip(
            names, chain(unknown, self._free(choices, taken, ())), strict=False
        ):
            self.set(name, number)

    def set(self, name: str, number: int) -> None:
        """Have a name claim a number."""
        self.now[name] = number
        self._used.add(number)

    def _free(
        self, choices: tuple[range, ...], taken: Collection[int], had: Collection[int]
    ) -> Iterator[int]:
        for number in chain.from_iterable(choices):
            if number not in self._used and number not in taken and number not in had:
                yield number
