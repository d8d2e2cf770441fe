"""Objects that have names: adding, changing and removing them, whatever they are.

A kind of object is a row of the table in `kinds`. Some are there without being
written down, such as a VPC's main route table: `implied` says what they are, and what
equals that is left out of the document again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from testbed.errors import Path, dotted, shorten
from testbed.topology.editing.change import EditError
from testbed.topology.editing.tree import ANY, Data, get, put, tidy
from testbed.topology.report import choices
from testbed.topology.schema import TopologyForm
from testbed.topology.schema.shape import shape_at

Said = tuple[str | None, str]  # AWS's code and words, in which {name} and {owner} are names
Values = Mapping[Any, Any]  # by key, or by the path below the object

LISTED = 5  # places that an error names


def nobody(data: Data, *names: str) -> Iterator[Path]:  # noqa: ARG001 - as all such functions
    """Find no use."""
    return iter(())


@dataclass(frozen=True)
class Kind:
    """A kind of named objects: where they are, who uses them, and what AWS says about them."""

    noun: str
    place: tuple[str, ...]  # of the mapping; ANY stands for the owner's name
    missing: Said
    taken: Said = (None, "the name '{name}' is taken")
    in_use: Said = (
        "DependencyViolation",
        "The {noun} '{name}' has dependencies and cannot be deleted.",
    )
    owner: Kind | None = None
    uses: Callable[..., Iterator[Path]] = nobody  # data, names
    implied: Callable[..., Data] | None = None  # data, owner's names
    inside: Path = ()  # what has to be written down for it, without a name itself
    whole: bool = False  # a mapping that is written down has none of the implied objects by itself

    def mapping(self, owners: tuple[str, ...]) -> Path:
        """Return the path of the mapping that has the objects of these owners."""
        left = iter(owners)
        return tuple(next(left) if step == ANY else step for step in self.place)

    def path(self, *names: str) -> Path:
        """Return the path of an object: its owner's names, and its own."""
        return (*self.mapping(names[:-1]), names[-1])


def entries(data: Data, kind: Kind, *owners: str) -> Data:
    """Return all objects of a kind and owner, implied ones too, by name."""
    given = get(data, kind.mapping(owners))
    if kind.implied is None or (kind.whole and given is not None):
        return given or {}
    return {**kind.implied(data, *owners), **(given or {})}


def require(data: Data, kind: Kind, *names: str) -> Any:
    """Return what the document says of an object; EditError where there is none."""
    if kind.owner is not None:
        require(data, kind.owner, *names[:-1])
    there = entries(data, kind, *names[:-1])
    if names[-1] not in there:
        remedy = choices(names[-1], there, f"{kind.noun}s")
        raise refusal(kind, kind.missing, names, remedy)
    return there[names[-1]]


def add(data: Data, kind: Kind, names: tuple[str, ...], values: Values) -> Data:
    """Copy the data with another object; EditError where its name is taken."""
    if kind.owner is not None:
        require(data, kind.owner, *names[:-1])
    if kind.inside and get(data, kind.inside) is None:
        message = f"there is no {kind.inside[-1]} for the {kind.noun}"
        raise EditError(None, message, kind.inside, "add it first")
    if names[-1] in entries(data, kind, *names[:-1]):
        raise refusal(kind, kind.taken, names, "choose another name")
    return store(data, kind, names, _with(kind, names, {}, values))


def change(data: Data, kind: Kind, names: tuple[str, ...], values: Values) -> Data:
    """Copy the data with an object's values changed; None is back to the default."""
    return store(data, kind, names, _with(kind, names, require(data, kind, *names), values))


def remove(data: Data, kind: Kind, *names: str) -> Data:
    """Copy the data without an object; EditError where something else uses it."""
    require(data, kind, *names)
    refuse_used(kind.uses(data, *names), refusal(kind, kind.in_use, names))
    return store(data, kind, names, None)


def refuse_used(uses: Iterable[Path], error: EditError) -> None:
    """Raise `error`, with the uses as its remedy, where there are any."""
    if places := [dotted(use) for use in uses]:
        more = f" and {len(places) - LISTED} more" if len(places) > LISTED else ""
        remedy = f"it is used by {', '.join(places[:LISTED])}{more}"
        raise EditError(error.aws_code, error.message, error.path, remedy)


def store(data: Data, kind: Kind, names: tuple[str, ...], entry: Any) -> Data:
    """Copy the data with `entry` as an object; None takes it out."""
    *owners, name = names
    implied = kind.implied(data, *owners) if kind.implied else {}
    if kind.implied is None or not kind.whole:
        implicit = entry is not None and name in implied and entry == implied[name]
        return put(data, kind.path(*names), None if implicit else entry)
    there = dict(entries(data, kind, *owners))
    there.pop(name, None) if entry is None else there.update({name: entry})
    return put(data, kind.mapping(tuple(owners)), None if there == implied else there)


def refusal(kind: Kind, said: Said, names: tuple[str, ...], remedy: str | None = None) -> EditError:
    """Make the error that says `said` of an object."""
    code, words = said
    owner = names[-2] if len(names) > 1 else ""
    text = words.format(noun=kind.noun, name=shorten(names[-1]), owner=shorten(owner))
    return EditError(code, text, kind.path(*names), remedy)


def _with(kind: Kind, names: tuple[str, ...], entry: Any, values: Values) -> Any:
    form = shape_at(TopologyForm, kind.path(*names))
    for key, value in values.items():
        path = (key,) if isinstance(key, str) else key
        entry = put(entry, path, tidy(value, shape_at(form, path)), form)
    return entry
