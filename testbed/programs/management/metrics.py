"""Metrics: their text format, and what they point to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

FILE = "metrics.json"  # in the collector's node: what came, for `testbed status`
NAMESPACE = "AWS/Outposts"

Sample = dict[str, Any]
"""A datapoint: `metric`, `dimensions`, `value`, and `time` in seconds since 1970."""


def prometheus(samples: Iterable[Sample]) -> str:
    """Samples in Prometheus' text format, with their times in milliseconds."""
    metrics: dict[str, list[Sample]] = {}
    for sample in samples:
        metrics.setdefault(sample["metric"], []).append(sample)
    lines = []
    for metric, entries in sorted(metrics.items()):
        name = f"aws_outposts_{_snake(metric)}"
        lines += [f"# HELP {name} AWS/Outposts {metric}", f"# TYPE {name} gauge"]
        for entry in entries:
            pairs = entry["dimensions"].items()
            labels = ",".join(f'{_snake(key)}="{value}"' for key, value in pairs)
            lines.append(f"{name}{{{labels}}} {entry['value']:g} {int(entry['time'] * 1000)}")
    return "".join(f"{line}\n" for line in lines)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


DIAGNOSES = {
    (True, True, True): "all is well",
    (True, True, False): "the configuration of the service link VIF",
    (True, False, True): "the configuration of the local gateway VIF",
    (True, False, False): "the configuration of both VIFs",
    (False, False, False): "the LAG's configuration, or a physical failure",
}


def diagnose(*, lag: bool, local_gateway: bool, service_link: bool) -> str:
    """What the states of a LAG and of its two BGP sessions point to (facts: M3)."""
    contradiction = "the metrics are not of the same moment"
    return DIAGNOSES.get((lag, local_gateway, service_link), contradiction)
