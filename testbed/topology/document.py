"""A topology's document: what a topology file says, as plain data, and what follows from it.

A file is one way to write a document; editing operations and the control socket's clients
are others. All of them are checked here, by the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from testbed.errors import DocumentError, Violation, shorten
from testbed.topology import references, rules
from testbed.topology.derive import derive
from testbed.topology.model import Topology
from testbed.topology.numbers import Numbers
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm
from testbed.topology.validate import validate

__all__ = ["Document", "DocumentError", "Violation", "resolve", "resolve_with"]

NO_FILES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Document:
    """What an installation is made from.

    `data` is what a topology file says after templating, as dicts, lists and scalars; whoever
    edits it makes new ones (``replace(document, data=…)``). `files` are the texts of the files
    that it names, devices' own configurations and firewalls' rulesets, by their names in it.
    `text` is the YAML that it was first read from, whose comments and order an export keeps;
    it says nothing about the installation.
    """

    data: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=lambda: NO_FILES)
    text: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the document as plain data."""
        return {"data": self.data, "files": dict(self.files), "text": self.text}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Document:
        """Rebuild the document that `to_json` made `data` from."""
        return cls(data["data"], data.get("files", NO_FILES), data.get("text", ""))

    def read(self, name: str) -> str:
        """Return the text of a file that the document names; ValueError when there is none."""
        try:
            return self.files[name]
        except KeyError:
            raise ValueError(f"there is no file {shorten(name)}") from None


def resolve(document: Document, numbers: Numbers | None = None) -> Topology:
    """Check a document, and fill in everything that it leaves out.

    `numbers` are those that its objects have had so far, and get what they have now.
    Raises DocumentError with all violations.
    """
    return resolve_with(document.data, document.read, numbers)


def resolve_with(
    data: Any, read_config: Callable[[str], str], numbers: Numbers | None = None
) -> Topology:
    """Do what `resolve` does with plain data, of which it is not known yet whether it is right.

    `read_config` returns the text of a file that it names, or raises ValueError with a sentence.
    """
    report = Report(data)
    form = _checked_form(data, report)
    if form is not None:
        report.rule = "derivation"
        topology = derive(form, report, read_config, Numbers() if numbers is None else numbers)
        rules.check(form, topology, report)
        if not report.violations:
            return topology
    raise DocumentError(report.violations)


def _checked_form(data: Any, report: Report) -> TopologyForm | None:
    """The form with everything that is wrong by itself, or refers to it, left out."""
    form = validate(data, report)
    while form is not None:
        report.rule = "buildable"
        rules.check_buildable(form, report)
        report.rule = "references"
        if not references.check(form, report) and report.absent == report.spoiled:
            break
        form = validate(data, report, silent=True)
    return form
