"""Captures for people: a packet in one line, and what was captured where."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from testbed.render.style import size_text

if TYPE_CHECKING:
    from rich.table import Table

    from testbed.probes.capture import Count

ARROWS = {1: "<", 2: ">"}  # as pcapng numbers directions: in, out


def packet_line(packet: Any, width: int) -> str:
    """A packet as Scapy read it: its time here, its interface in `width` columns, what it is."""
    at = datetime.fromtimestamp(float(packet.time)).astimezone()
    arrow = ARROWS.get(packet.direction, " ")
    name = str(packet.sniffed_on or "")
    return f"{at:%H:%M:%S.%f} {name:<{width}} {arrow} {packet.summary()}"


def counts_table(counts: Iterable[Count]) -> Table:
    """The interfaces that packets were captured on."""
    from rich.table import Table  # noqa: PLC0415

    table = Table("node", "interface", box=None, header_style="bold")
    for heading in ("packets", "bytes", "dropped"):
        table.add_column(heading, justify="right")
    for row in counts:
        if row.packets or row.dropped:
            dropped = f"{row.dropped:,}" if row.dropped else ""
            table.add_row(
                row.node, row.interface, f"{row.packets:,}", size_text(row.bytes), dropped
            )
    return table
