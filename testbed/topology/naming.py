"""Whether a name in a document is one of something that the document has; what servers name."""

from __future__ import annotations

from collections.abc import Collection

from testbed.errors import Path
from testbed.topology.report import Report, choices, plural
from testbed.topology.schema import OutpostForm, TopologyForm
from testbed.topology.values import show


def known_name(
    report: Report,
    path: Path,
    name: str,
    known: Collection[str],
    owner: Path,
    spoil: Path | None = None,
) -> bool:
    """Return whether `name` is one of `known`, the entries of the file's mapping `owner`.

    If it is not, that is reported, and `spoil` (by default `path`) is left out from then on.
    """
    if name in known:
        return True
    exists = report.has((*owner, name))
    if not exists and not report.covers(owner):
        what = plural(str(owner[-1]))
        message = f"there is no {what.removesuffix('s')} named {show(name)}"
        report.add(path, message, choices(name, known, what))
    report.spoil(report.original(path if spoil is None else spoil))
    return False


def segments_of(outpost: OutpostForm) -> list[tuple[Path, str]]:
    """The segments that a server's ports are in, and where the file says so."""
    found: list[tuple[Path, str]] = []
    if outpost.service_link.segment is not None:
        found.append((("service_link", "segment"), outpost.service_link.segment))
    if (port := outpost.local_network_interface) is not None:
        if port.segment is not None:
            found.append((("local_network_interface", "segment"), port.segment))
        tagged = enumerate(port.tagged)
        found += [(("local_network_interface", "tagged", i), name) for i, name in tagged]
    return found


def layer2_nodes(report: Report, form: TopologyForm) -> None:
    """Check the instances that are nodes of layer-2 services."""
    for name, service in form.layer2_services.items():
        path: Path = ("layer2_services", name)
        for index, node in enumerate(service.nodes):
            if node in service.nodes[:index]:
                report.add((*path, "nodes", index), f"{node} is named twice", "keep one of them")
            known_name(report, (*path, "nodes", index), node, form.instances, ("instances",), path)
