"""Declared faults, as the file has them."""

from __future__ import annotations

from testbed.topology.model import FaultDeclaration
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm

TIMES = {"at": "at_s", "lasts": "for_s", "every": "every_s"}


def derive_faults(form: TopologyForm, report: Report) -> tuple[FaultDeclaration, ...]:
    """The faults with their paths in the document."""
    found = []
    for index, fault in enumerate(form.faults):
        given = fault.model_dump(exclude_none=True, exclude={"kind", "target", "name"})
        found.append(
            FaultDeclaration(
                kind=fault.kind,
                target=fault.target,
                name=fault.name or "",
                values={key: value for key, value in given.items() if key not in TIMES},
                times={TIMES[key]: value for key, value in given.items() if key in TIMES},
                path=report.original(("faults", index)),
            )
        )
    return tuple(found)
