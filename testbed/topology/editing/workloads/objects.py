"""Making the operations on objects of services that run workloads."""

from __future__ import annotations

from typing import Any

from testbed.topology.editing.change import make_operation
from testbed.topology.editing.keyed import (
    KEYS,
    Operation,
    any_of,
    by_key,
    keys_of,
    new_of,
    parameter,
)
from testbed.topology.editing.named import Kind, add, change, remove
from testbed.topology.editing.tree import ANY, Data
from testbed.topology.schema import TopologyForm
from testbed.topology.schema.shape import shape_at


class Objects:
    """Objects of a kind, which may have owners.

    `arguments` are what operations call the owners' names and the object's; keys in `but` have
    operations of their own.
    """

    def __init__(self, kind: Kind, *arguments: str, but: tuple[str, ...] = ()) -> None:
        self._kind = kind
        self._arguments = arguments
        self._keys = keys_of(shape_at(TopologyForm, kind.path(*[ANY] * len(arguments))), but)
        self._names = [parameter(argument, str) for argument in arguments]
        self._some = f"{'an' if kind.noun[0] in 'AEIOaeio' else 'a'} {kind.noun}"

    def _taken(self, given: dict[str, Any]) -> tuple[str, ...]:
        return tuple(given.pop(argument) for argument in self._arguments)

    def adding(self, name: str) -> Operation:
        """Make the operation that adds one."""

        def function(data: Data, **given: Any) -> Data:
            return add(data, self._kind, self._taken(given), by_key(self._keys, given))

        parameters = [*self._names, *new_of(self._keys)]
        return make_operation(name, function, parameters, f"Add {self._some}; {KEYS}.")

    def changing(self, name: str) -> Operation:
        """Make the operation that changes keys of one."""

        def function(data: Data, **given: Any) -> Data:
            return change(data, self._kind, self._taken(given), by_key(self._keys, given))

        parameters = [*self._names, *any_of(self._keys)]
        return make_operation(name, function, parameters, f"Change {self._some}; {KEYS}.")

    def removing(self, name: str) -> Operation:
        """Make the operation that removes one."""

        def function(data: Data, **given: Any) -> Data:
            return remove(data, self._kind, *self._taken(given))

        text = f"Remove {self._some} that nothing else names."
        return make_operation(name, function, self._names, text)
