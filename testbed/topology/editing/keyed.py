"""Operations whose arguments are the keys of the topology file, for what EC2 has no names for.

An argument that is None resets its key to the default; a key whose argument is left out
is unchanged.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from testbed.errors import Path
from testbed.plan.json_diff import lookup
from testbed.topology.editing.change import Change, EditError, make_operation
from testbed.topology.editing.named import (
    Kind,
    add,
    change,
    nobody,
    refusal,
    refuse_used,
    remove,
    require,
)
from testbed.topology.editing.tree import ANY, Data, put, tidy
from testbed.topology.schema import TopologyForm
from testbed.topology.schema.shape import shape_at

Operation = Callable[..., Change]
Keys = dict[str, tuple[str, Any, bool]]
Verbs = tuple[str, str, str]
OURS: Verbs = ("add", "modify", "remove")
KEYS = "its arguments are its keys in the topology file"


def operations_on(
    kind: Kind, word: str, argument: str, verbs: Verbs = OURS
) -> tuple[Operation, Operation, Operation]:
    """Make the operations that add, modify and remove objects of a kind: VERB_WORD.

    `argument` is what they call the object's name.
    """
    keys = keys_of(shape_at(TopologyForm, kind.path(ANY)))

    def adding(data: Data, **given: Any) -> Data:
        return add(data, kind, (given.pop(argument),), by_key(keys, given))

    def modifying(data: Data, **given: Any) -> Data:
        return change(data, kind, (given.pop(argument),), by_key(keys, given))

    def removing(data: Data, **given: Any) -> Data:
        return remove(data, kind, given[argument])

    first, second, third = (f"{verb}_{word}" for verb in verbs)
    name = parameter(argument, str)
    some = f"{'an' if kind.noun[0].lower() in 'aeiou' else 'a'} {kind.noun}"
    return (
        make_operation(first, adding, [name, *new_of(keys)], f"Add {some}; {KEYS}."),
        make_operation(second, modifying, [name, *any_of(keys)], f"Change keys of {some}; {KEYS}."),
        make_operation(third, removing, [name], f"Remove {some} that nothing else names."),
    )


@dataclass(frozen=True)
class Part:
    """A part of the document, or of each object of a kind, that has no name itself.

    Keys in `but` have operations of their own; `uses` finds who uses the owner by the part.
    """

    noun: str
    path: Path
    owner: Kind | None = None
    argument: str = ""  # what the owner's name is called
    but: tuple[str, ...] = ()
    uses: Callable[..., Iterator[Path]] = nobody

    def keys(self) -> Keys:
        """Return the part's keys that operations change."""
        start: Path = self.owner.path(ANY) if self.owner else ()
        return keys_of(shape_at(TopologyForm, (*start, *self.path)), self.but)

    def parameters(self) -> list[inspect.Parameter]:
        """Return the parameter for the owner's name, if there is an owner."""
        return [parameter(self.argument, str)] if self.owner else []

    def take(self, data: Data, given: Data) -> Path:
        """Take the owner's name out of the arguments, and return the part's path."""
        if self.owner is None:
            return self.path
        name = given.pop(self.argument)
        require(data, self.owner, name)
        return (*self.owner.path(name), *self.path)


def operation_on(name: str, part: Part) -> Operation:
    """Make the operation that changes keys of a part that is always there."""
    keys = part.keys()

    def modifying(data: Data, **given: Any) -> Data:
        return _changed(data, part.take(data, given), by_key(keys, given))

    text = f"Change keys of {part.noun}; {KEYS}."
    return make_operation(name, modifying, [*part.parameters(), *any_of(keys)], text)


def operations_on_part(
    word: str, part: Part, verbs: Verbs = OURS
) -> tuple[Operation, Operation, Operation]:
    """Make the operations that add, modify and remove a part that may be there or not."""
    keys = part.keys()

    def adding(data: Data, **given: Any) -> Data:
        path = part.take(data, given)
        if lookup(data, path) is not None:
            message = f"the document has {part.noun} already"
            raise EditError(None, message, path, "modify it")
        return _changed(put(data, path, {}), path, by_key(keys, given))

    def modifying(data: Data, **given: Any) -> Data:
        path = part.take(data, given)
        _require(data, path)
        return _changed(data, path, by_key(keys, given))

    def removing(data: Data, **given: Any) -> Data:
        names = tuple(given.values())
        path = part.take(data, given)
        _require(data, path)
        if part.owner is not None:
            error = refusal(part.owner, part.owner.in_use, names)
            refuse_used(part.uses(data, *names), error)
        return put(data, path, None)

    def _require(data: Data, path: Path) -> None:
        if lookup(data, path) is None:
            message = f"the document does not have {part.noun}"
            raise EditError(None, message, path, "add it first")

    names = part.parameters()
    first, second, third = (f"{verb}_{word}" for verb in verbs)
    return (
        make_operation(first, adding, [*names, *new_of(keys)], f"Add {part.noun}; {KEYS}."),
        make_operation(second, modifying, [*names, *any_of(keys)], f"Change {part.noun}; {KEYS}."),
        make_operation(third, removing, names, f"Remove {part.noun}."),
    )


def _changed(data: Data, path: Path, values: Data) -> Data:
    for key, value in values.items():
        at = (*path, key)
        data = put(data, at, tidy(value, shape_at(TopologyForm, at)))
    return data


def keys_of(form: Any, but: Collection[str] = ()) -> Keys:
    """Return key, type and whether it is required, by the name that Python allows."""
    return {
        name: (field.alias or name, field.annotation, field.is_required())
        for name, field in form.model_fields.items()
        if name not in but
    }


def by_key(keys: Keys, given: Data) -> Data:
    """Return arguments by the keys that they are for."""
    return {keys[name][0]: value for name, value in given.items()}


def new_of(keys: Keys) -> list[inspect.Parameter]:
    """Return parameters for the keys of a new object: some are required."""
    return [
        parameter(name, shape) if required else parameter(name, shape, None)
        for name, (_, shape, required) in keys.items()
    ]


def any_of(keys: Keys) -> list[inspect.Parameter]:
    """Return parameters for keys that are given or not."""
    return [parameter(name, shape, None) for name, (_, shape, _) in keys.items()]


def parameter(name: str, shape: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    """Return a parameter that is given by name."""
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=shape)
