"""`testbed advance`."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import click

from testbed.cli.common import connect, echo_json, json_option, name_option, verb
from testbed.quantities import span_s

SAY_EVERY_S = 5.0


def parse_duration(_: click.Context, __: click.Parameter, text: str) -> float:
    """Return a length of time in seconds: a plain number, or numbers with units, ``1h30m``."""
    try:
        return span_s(text)
    except ValueError:
        message = f"{text[:80]!r} is not a length of time such as 180s, 1h30m or 7d"
        raise click.BadParameter(message) from None


@verb("advance", "testbed advance 180s\ntestbed advance 1d --json")
@click.argument("duration", callback=parse_duration, metavar="DURATION")
@name_option()
@json_option
def command(*, duration: float, name: str | None, as_json: bool) -> None:
    """Let time pass in a testbed: at once if its time is virtual, else by waiting.

    DURATION is a number of seconds, or numbers with the units ms, s, m, h and d.
    """
    from testbed.render.clocks import duration_text  # noqa: PLC0415
    from testbed.render.progress import progress  # noqa: PLC0415

    client = connect(name)
    started = perf_counter()
    length = duration_text(duration)
    with progress(quiet=as_json) as shown:
        said = started

        def show(event: dict[str, Any]) -> None:
            nonlocal said
            if perf_counter() - said > SAY_EVERY_S:
                said = perf_counter()
                passed = duration_text(event.get("seconds", 0.0))
                shown.doing(f"{passed} of {length} have passed")

        clock = client.advance(duration, on_event=show)["clock"]
    took = perf_counter() - started
    if as_json:
        result = {"name": client.name, "seconds": duration, "took_s": round(took, 3)}
        echo_json(result | {"clock": clock})
        return
    since = duration_text(clock["elapsed_s"])
    click.echo(f"{client.name}: {length} later, after {took:.1f} s ({since} since its start)")
