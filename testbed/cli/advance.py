"""`testbed advance`."""

from __future__ import annotations

import re
from time import perf_counter
from typing import Any

import click

from testbed.cli.common import connect, echo_json, json_option, name_option, verb

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SAY_EVERY_S = 5.0
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(_: click.Context, __: click.Parameter, text: str) -> float:
    """A length of time in seconds: a number of them, or numbers with units, ``1h30m``."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = PART.findall(text)
    if not parts or "".join(map("".join, parts)) != text:
        raise click.BadParameter(f"{text[:80]!r} is no length of time such as 180s, 1h30m or 7d")
    return float(sum(float(number) * UNITS_S[unit] for number, unit in parts))


@verb("advance", "testbed advance 180s\ntestbed advance 1d --json")
@click.argument("duration", callback=parse_duration, metavar="DURATION")
@name_option()
@json_option
def command(*, duration: float, name: str | None, as_json: bool) -> None:
    """Let time pass in a testbed: at once where it is virtual, else by waiting.

    DURATION is a number of seconds, or numbers with the units ms, s, m, h, d.
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
