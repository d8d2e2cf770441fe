"""`testbed metrics`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click

from testbed.cli.common import connect, echo_json, json_option, name_option, verb
from testbed.errors import UsageError
from testbed.programs.management.metrics import NAMESPACE, diagnose, prometheus

Series = Sequence[dict[str, Any]]


@verb(
    "metrics",
    "testbed metrics\ntestbed metrics --prometheus > outposts.prom\n"
    "testbed metrics --json | jq '.series[][] | select(.metric == \"ConnectedStatus\")'",
)
@click.option("--prometheus", "text", is_flag=True, help="Print in Prometheus' text format.")
@name_option()
@json_option
def command(*, text: bool, name: str | None, as_json: bool) -> None:
    """Show the metrics that the Outposts have sent to CloudWatch, and a diagnosis.

    Prints the last value of each metric and when it was measured. A disconnected
    Outpost keeps its metrics and sends them later.
    """
    if text and as_json:
        raise UsageError("--prometheus excludes --json")
    status = connect(name).status()
    series: list[Series] = status.get("metrics", {}).get(NAMESPACE, [])
    latest = [points[-1] for points in series if points]
    if text:
        click.echo(prometheus(latest), nl=False)
        return
    diagnoses = diagnoses_of(latest)
    if as_json:
        echo_json({"namespace": NAMESPACE, "series": series, "diagnoses": diagnoses})
        return
    _print(latest, diagnoses)


def diagnoses_of(latest: Series) -> list[dict[str, Any]]:
    """Return for each LAG what its state and its two BGP sessions point to (facts: M3)."""
    found = []
    for lag in (point for point in latest if point["metric"] == "LagStatus"):
        name = lag["dimensions"]["LagId"]
        vifs = {
            "VirtualInterfaceGroupId" in point["dimensions"]: bool(point["value"])
            for point in latest
            if point["metric"] == "VifConnectionStatus" and point["dimensions"]["LagId"] == name
        }
        if len(vifs) == 2:
            says = diagnose(
                lag=bool(lag["value"]), local_gateway=vifs[True], service_link=vifs[False]
            )
            found.append({"LagId": name, "points_to": says})
    return found


def number(value: float) -> str:
    """Write a metric's value in full: 429,639,000 or 0.0125."""
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4g}"


def _print(latest: Series, diagnoses: Sequence[dict[str, Any]]) -> None:
    from testbed.render.console import console  # noqa: PLC0415
    from testbed.render.style import rows_table  # noqa: PLC0415

    if not latest:
        click.echo("no metrics have arrived yet: the first arrive at the end of a period")
        return
    rows = (
        (
            point["metric"],
            " ".join(f"{key}={value}" for key, value in point["dimensions"].items()),
            number(point["value"]),
            time.strftime("%H:%M:%S", time.gmtime(point["time"])),
            f"{point['delivered'] - point['time']:.0f} s",
        )
        for point in latest
    )
    columns = ("metric", "dimensions", "value", "measured (UTC)", "arrived after")
    console().print(rows_table(NAMESPACE, columns, rows))
    pairs = ([entry["LagId"], entry["points_to"]] for entry in diagnoses)
    console().print(rows_table("Diagnosis", ("LAG", ""), pairs))
