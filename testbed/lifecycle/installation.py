"""An installation that can be brought up: its document, what follows from it, and its plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from testbed.lifecycle import device_configs
from testbed.lifecycle.choices import check_name, check_seed, check_time
from testbed.lifecycle.finding import find
from testbed.plan.model import Plan
from testbed.topology.document import Document, resolve
from testbed.topology.file.load import NO_SETTINGS, Source, read
from testbed.topology.model import Topology
from testbed.topology.numbers import Numbers

NO_NUMBERS: Mapping[str, Mapping[str, int]] = {}


@dataclass(frozen=True)
class Installation:
    """An installation, checked and complete.

    `source` is what the keeper is told that it was read
    from, the file and its settings; None where it was edited, and the source is what it was.
    """

    document: Document
    topology: Topology
    source: Mapping[str, Any] | None = None
    file: Source | None = None

    @cached_property
    def plan(self) -> Plan:
        """Its plan; TopologyError or DocumentError where a fault that it declares cannot be."""
        from testbed.lower import lower  # noqa: PLC0415 - jinja2 and cryptography are slow to import

        if self.file is None:
            return lower(self.topology)
        with self.file.placing():
            return lower(self.topology)

    def made_from(self) -> dict[str, Any]:
        """Return what a keeper keeps beside the plan (docs/protocol.md, `apply`)."""
        assert self.plan  # which claims numbers, too
        return {
            "document": self.document.to_json(),
            "numbers": self.topology.numbers.to_json(),
            "source": self.source,
        }


def read_file(
    path: str | os.PathLike[str],
    settings: Mapping[str, str] = NO_SETTINGS,
    name: str | None = None,
    *,
    time: str | None = None,
    seed: int | None = None,
    previous: Callable[[str], Mapping[str, Mapping[str, int]]] = lambda _: NO_NUMBERS,
    notes: list[str] | None = None,
) -> Installation:
    """Read the installation of a topology, given as a file or by name.

    It gets another name, time or seed if given.

    Devices' own configurations are parsed, too; `notes` gets those that cannot be here.
    `previous` is asked for the numbers of the testbed of its name, where that runs.
    """
    given = {"name": name, "time": check_time(time), "seed": check_seed(seed)}
    if name is not None:
        check_name(name)
    found = find(path)
    file = read(found, settings)
    own = file.composed.root.child("name")
    document, topology = file.resolve(Numbers(previous(name or str(own and own.value))))
    changed: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    source = {"file": str(found.absolute()), "settings": dict(settings)}
    made = Installation(
        replace(document, data={**document.data, **changed}),
        replace(topology, **changed),
        source,
        file,
    )
    told = device_configs.parse(topology, file.directory, plan=lambda: made.plan)
    if notes is not None:
        notes += told
    return made


def load_topology(
    path: str | os.PathLike[str], settings: Mapping[str, str], name: str | None = None
) -> Topology:
    """Load the topology of a file, as `name` instead of its own name if given."""
    return read_file(path, settings, name).topology


def lower_topology(topology: Topology) -> Plan:
    """Return the plan of a topology whose objects have had no numbers before."""
    from testbed.lower import lower  # noqa: PLC0415 - jinja2 and cryptography are slow to import

    return lower(topology)


def of_document(
    document: Document,
    previous: Mapping[str, Mapping[str, int]] = NO_NUMBERS,
    *,
    parsed: Collection[str] = (),
) -> Installation:
    """Check a document, and return its installation; DocumentError with all violations.

    `previous` are the numbers of the same installation as it runs, `parsed` the texts of
    devices' configurations that need not be parsed again.
    """
    topology = resolve(document, Numbers(previous))
    made = Installation(document, topology)
    device_configs.parse(topology, parsed=parsed, plan=lambda: made.plan)
    return made
