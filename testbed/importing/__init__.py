"""Facts from switches' own configurations: `testbed import`.

Nothing is guessed in silence: what a file does not say is a note, and each line from which
nothing was taken is listed with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from testbed.errors import UsageError
from testbed.importing import cli_style, junos
from testbed.importing.lines import Configuration, Vendor, read, vendor_of
from testbed.importing.site import Answers, build

__all__ = ["Answers", "Imported", "Unused", "import_files"]

LARGEST = 16 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Unused:
    """A line from which nothing was taken, and why."""

    file: str
    line: int
    text: str
    reason: str


@dataclass
class Imported:
    """The parts of a topology, what to know of them, and what was left out.

    `prefix_lists` are facts without a place in a topology, by device's file and list.
    """

    data: dict[str, Any]
    notes: list[str]
    unused: list[Unused]
    prefix_lists: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The parts as YAML."""
        return yaml.safe_dump(self.data, sort_keys=False, default_flow_style=None, width=100)

    def to_json(self) -> dict[str, Any]:
        """Return it as `import --json` prints it."""
        return {
            "topology": self.data,
            "notes": self.notes,
            "unused": [asdict(entry) for entry in self.unused],
            "prefix_lists": self.prefix_lists,
        }


def import_files(
    files: Sequence[Path], answers: Answers, *, vendor: Vendor | None = None
) -> Imported:
    """Read configurations, one for each device, and make the site part of a topology.

    UsageError where a file cannot be read, or an answer fits none of them.
    """
    configurations = [_read(path, vendor) for path in files]
    switches = [(junos if one.vendor == "junos" else cli_style).read(one) for one in configurations]
    site = build(switches, answers)
    notes = [f"{one.file}: read as {one.vendor}" for one in configurations]
    for switch in switches:
        for name, entries in switch.prefix_lists.items():
            for entry in entries:
                entry.line.reason = f"prefix list {name}: what devices permit is not imported"
        for port in switch.ports.values():
            if port.down:
                port.down.line.reason = "the interface is shut down, and so left out"
        for neighbor in switch.neighbors:
            for line in neighbor.lines:
                line.reason = f"nobody said who {neighbor.address} is: --region or --wan"
    unused = [
        Unused(one.file, line.number, line.text, line.reason)
        for one in configurations
        for line in dict.fromkeys(one.lines[number] for number in sorted(one.lines))
        if not line.used
    ]
    lists = {
        switch.file: {
            name: [str(entry.value) for entry in entries]
            for name, entries in switch.prefix_lists.items()
        }
        for switch in switches
    }
    return Imported(site.data, notes + site.notes, unused, lists)


def _read(path: Path, vendor: Vendor | None) -> Configuration:
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} is larger than {LARGEST >> 20} MiB")
        text = path.read_text(errors="replace")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {(error.strerror or '').lower()}") from error
    return read(text, str(path), vendor or vendor_of(text, str(path)))
