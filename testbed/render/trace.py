"""A trace as text: a line for each namespace that the packet crossed, and why there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from testbed.probes.trace import Hop, Path, Port, Trace

INSIDE = {"packet": "", "vxlan": "VXLAN", "wireguard": "WireGuard"}
DIM, BAD, GOOD = "dim", "bold red", "green"


def print_trace(console: Console, trace: Trace, target: str, *, both: bool = False) -> None:
    """Print the hops of the packet, those of its answer if wanted or lost, and the outcome.

    `target` is the destination as the user gave it.
    """
    for line in lines(trace, target, both=both):
        console.print(line, soft_wrap=True)


def lines(trace: Trace, target: str, *, both: bool = False) -> Iterator[Text]:
    """The lines of a trace."""
    yield Text(_heading(trace, target), style="bold")
    yield from _hops(trace.request)
    if trace.answer is not None:
        yield Text("")
        if both or not trace.answer.delivered:
            yield Text(f"{trace.answer.what or 'Answer'}, back to {trace.source}", style="bold")
            yield from _hops(trace.answer)
        else:
            took = f" ({trace.answer.hops[-1].at_ms:.3f} ms)" if trace.answer.hops else ""
            yield Text(f"{trace.answer.what}: {_way(trace.answer.hops)}{took}")
    for error in (trace.error, trace.answer_error):
        told = trace.answer is not None and trace.answer.way == "error"
        if error is not None and not (told and error is trace.error):
            got = "reached" if error.received else "did not reach"
            whom = trace.source if error is trace.error else "who sent the answer"
            text = f"{error.error.text}: sent by {error.node} ({error.address}), {got} {whom}"
            yield Text(text)
    if trace.lost:
        nodes = ", ".join(trace.lost)
        yield Text(f"too much traffic: hops may be missing in {nodes}", style=BAD)
    yield Text("")
    yield Text(trace.sentence, style=GOOD if trace.ok else BAD)


def _heading(trace: Trace, target: str) -> str:
    name = trace.destination if target == trace.destination else f"{target} ({trace.destination})"
    what = trace.request.what or _planned(trace)
    return f"{trace.source} -> {name}: {what}, {trace.size} bytes{', DF' if trace.df else ''}"


def _planned(trace: Trace) -> str:
    port = f" to port {trace.port}" if trace.port else ""
    return {"icmp": "ICMP echo request", "tcp": "TCP SYN"}.get(trace.protocol, "UDP") + port


def _way(hops: Sequence[Hop]) -> str:
    names: list[str] = []
    for hop in hops:
        if not names or names[-1] != hop.node:
            names.append(hop.node)
    return " > ".join(names)


def _hops(path: Path) -> Iterator[Text]:
    rows = [_row(hop) for hop in path.hops]
    headings = ("#", "node", "inside", "in", "out", "TTL", "ms")
    inside = any(row[2] for row in rows)
    widths = [max(len(cell) for cell in cells) for cells in zip(headings, *rows, strict=True)]
    shown = [index for index in range(len(headings)) if inside or headings[index] != "inside"]

    def joined(row: Sequence[str]) -> str:
        cells = (
            row[i].rjust(widths[i]) if headings[i] in {"#", "ms"} else row[i].ljust(widths[i])
            for i in shown
        )
        return "  ".join(cells).rstrip()

    if rows:
        yield Text(joined(headings), style=DIM)
    for hop, row in zip(path.hops, rows, strict=True):
        dropped = hop.dropped_by is not None or (
            hop is path.hops[-1]
            and not path.delivered
            and hop.node in {path.dropped_at, path.last_seen}
        )
        yield Text(joined(row), style=BAD if dropped else "")
        indent = " " * (widths[0] + 4)
        for detail in _details(hop):
            yield Text(indent + detail, style=DIM)


def _row(hop: Hop) -> tuple[str, ...]:
    ttl = str(hop.ttl)
    if hop.ttl_out is not None and hop.ttl_out != hop.ttl:
        ttl += f" > {hop.ttl_out}"
    return (
        str(hop.number),
        hop.node,
        INSIDE[hop.layer],
        _ports(hop.enters[::-1]),
        _ports(hop.leaves),
        ttl,
        f"{hop.at_ms:.3f}",
    )


def _ports(ports: Sequence[Port]) -> str:
    """The interface that routes, and in brackets the cable's with the VLAN on it."""
    if not ports:
        return ""
    first, last = ports[0], ports[-1]
    vlan = next((port.vlan for port in reversed(ports) if port.vlan is not None), None)
    inside = [last.interface] if last.interface != first.interface else []
    inside += [f"VLAN {vlan}"] if vlan is not None else []
    return first.interface + (f" ({', '.join(inside)})" if inside else "")


def _details(hop: Hop) -> Iterator[str]:
    if hop.route:
        rule = hop.decision.rule if hop.decision else None
        rule = f" [rule {rule}]" if rule and not rule.endswith("from all") else ""
        yield f"route: {hop.route}{rule}"
    if hop.translated:
        yield f"NAT: {hop.addresses} becomes {hop.addresses_out}"
    if hop.tunnel:
        yield hop.tunnel
    for entry in hop.filters:
        if entry.comment:
            yield f"{entry.comment}{': drop' if entry.drops else ' lets it pass'}"
        elif entry.drops:
            yield f"nftables: {entry.text}: drop"
