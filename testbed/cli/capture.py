"""`testbed capture`."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from testbed.cli.advance import parse_duration
from testbed.cli.common import (
    complete_places,
    connect,
    echo_json,
    is_terminal,
    json_option,
    name_option,
    verb,
)
from testbed.errors import EXIT_NETWORK, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.probes.capture import Count, LiveCapture
    from testbed.probes.capture_points import Point

EXAMPLE = """
testbed capture cnd1 icmp
testbed capture cnd1--op.ond1 web:eth0 -w all.pcapng --for 10s
testbed capture -w - tcp port 179 | tshark -r -
testbed capture op.lag1 --wireshark
"""


def _duration(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    return None if text is None else parse_duration(context, parameter, text)


@verb("capture", EXAMPLE)
@click.argument("words", nargs=-1, metavar="[PLACE]... [FILTER]", shell_complete=complete_places)
@click.option(
    *("-w", "--write", "file"),
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write a pcapng file; - means standard output.",
)
@click.option("--wireshark", is_flag=True, help="Show the packets in Wireshark as they arrive.")
@click.option(
    *("-c", "--count"), type=click.IntRange(min=1), metavar="N", help="Stop after N packets."
)
@click.option(
    *("--for", "seconds"),
    callback=_duration,
    metavar="DURATION",
    help="Stop after this long, by the testbed's clock: 10s, 1m30s.",
)
@name_option()
@json_option
@click.pass_context
def command(
    context: click.Context,
    words: tuple[str, ...],
    *,
    file: str | None,
    wireshark: bool,
    count: int | None,
    seconds: float | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Capture packets on any number of interfaces at once, in order of time.

    A PLACE is NODE (all its cables and tunnels), NODE:INTERFACE, A--B (both
    ends of the cables between two nodes) or OUTPOST.lagN (the cables of a LAG).
    The default is all cables and tunnels. FILTER is a pcap-filter(7). Packets
    are printed unless they go to a file or to Wireshark. Stop with Ctrl-C.
    """
    from testbed.probes.capture import LiveCapture  # noqa: PLC0415
    from testbed.probes.capture_points import select, split  # noqa: PLC0415

    _check_outputs(file, wireshark=wireshark, as_json=as_json)
    client = connect(name)
    plan, source = client.plan()
    places, expression = split(words, plan)
    points = select(plan, places)
    comment = f"testbed {plan.name}"
    if isinstance(source, dict) and source.get("file"):
        comment += f"\ntopology {source['file']}"
    comment += f"\n{' '.join(['testbed capture', *words])}"
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(_output(file, wireshark=wireshark))
        limits: dict[str, Any] = {"count": count, "seconds": seconds, "comment": comment}
        live = stack.enter_context(
            contextlib.closing(LiveCapture(client, points, expression, **limits))
        )
        stack.enter_context(_interruptible(live))
        for note in live.notes:
            click.echo(f"note: {note}", err=True)
        if output is None and not as_json:
            _print_packets(live, points)
        else:
            _copy(live, output, points, quiet=as_json)
        counts = live.counts()
    _report(counts, file, expression, as_json=as_json)
    if seconds is not None and count and sum(row.packets for row in counts) < count:
        context.exit(EXIT_NETWORK)


def _check_outputs(file: str | None, *, wireshark: bool, as_json: bool) -> None:
    if file and wireshark:
        raise UsageError("--wireshark excludes -w", hint="save the capture from Wireshark")
    if file == "-" and as_json:
        raise UsageError("-w - and --json both need standard output")
    if file == "-" and is_terminal():
        hint = "pipe it: testbed capture -w - | tshark -r -"
        raise UsageError("refusing to write a capture file to a terminal", hint=hint)


@contextlib.contextmanager
def _output(file: str | None, *, wireshark: bool) -> Iterator[IO[bytes] | None]:
    """Where the capture file goes; None when there is none."""
    if wireshark:
        from testbed.render.wireshark import open_wireshark  # noqa: PLC0415

        stream = open_wireshark()
        try:
            yield stream
        finally:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
    elif file == "-":
        yield sys.stdout.buffer
    elif file:
        with contextlib.ExitStack() as stack:
            try:
                opened = stack.enter_context(Path(file).open("wb"))
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise UsageError(f"cannot write {file}: {reason}") from None
            yield opened
    else:
        yield None


@contextlib.contextmanager
def _interruptible(live: LiveCapture) -> Iterator[None]:
    """Stop the capture in good order at the first Ctrl-C or SIGTERM, and exit at the second."""

    def end(number: int, _: Any) -> None:
        signal.signal(number, before[number])
        threading.Thread(target=live.stop, daemon=True).start()

    before: dict[int, Any] = {
        number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stream:
    """A running capture as a file to read from."""

    def __init__(self, live: LiveCapture) -> None:
        self._live = live
        self._data = bytearray()

    def read(self, size: int) -> bytes:
        while len(self._data) < size:
            piece = self._live.read()
            if piece is None:
                break
            self._data += piece
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken


def _print_packets(live: LiveCapture, points: list[Point]) -> None:
    from testbed.probes.capture import scapy_reader  # noqa: PLC0415
    from testbed.render.captures import packet_line  # noqa: PLC0415

    _announce(points)
    width = max(len(point.name) for point in points)
    for packet in scapy_reader(_Stream(live)):
        click.echo(packet_line(packet, width))


def _copy(live: LiveCapture, output: IO[bytes] | None, points: list[Point], *, quiet: bool) -> None:
    """Pass the capture file on as it grows, and show its progress."""
    from testbed.programs.capture.pcapng import complete  # noqa: PLC0415
    from testbed.render.console import console  # noqa: PLC0415

    shown = None
    if not quiet:
        _announce(points)
        shown = console(stderr=True).status("0 packets") if is_terminal(sys.stderr) else None
    rest = bytearray()
    packets = 0
    with shown or contextlib.nullcontext():
        while (piece := live.read()) is not None:
            rest += piece
            end, more = complete(rest)
            packets += more
            if output is not None and not _write(output, bytes(rest[:end])):
                live.stop()  # whoever looked has looked enough
                output = None
            del rest[:end]
            if shown:
                shown.update(f"{packets:,} packets")


def _write(output: IO[bytes], data: bytes) -> bool:
    """Whether somebody still reads."""
    from testbed.control.terminal import write_all  # noqa: PLC0415

    try:
        write_all(output, data)
    except BrokenPipeError:
        if output is sys.stdout.buffer:
            raise
        return False
    return True


def _announce(points: list[Point]) -> None:
    nodes = len({point.node for point in points})
    one = len(points) == 1
    what = points[0].name if one else f"{len(points)} interfaces of {nodes} node{'s' * (nodes > 1)}"
    click.echo(f"capturing on {what}; stop with Ctrl-C", err=True)


def _report(counts: list[Count], file: str | None, expression: str, *, as_json: bool) -> None:
    """Say what was captured where."""
    packets = sum(row.packets for row in counts)
    dropped = sum(row.dropped for row in counts)
    if as_json:
        rows = [asdict(row) for row in counts]
        summary = {"file": file, "filter": expression, "packets": packets, "dropped": dropped}
        echo_json(summary | {"interfaces": rows})
        return
    from testbed.render.captures import counts_table  # noqa: PLC0415
    from testbed.render.console import console  # noqa: PLC0415

    if packets or dropped:
        console(stderr=True).print(counts_table(counts))
    total = f"{packets:,} packet{'' if packets == 1 else 's'}"
    where = f" in {file}" if file and file != "-" else ""
    click.echo(f"{total} captured{where}", err=True)
    if dropped:
        text = f"{dropped:,} more were lost because they came too fast: use a narrower filter"
        click.echo(f"{click.style('warning:', fg='yellow')} {text}", err=True)
