"""What the testbed's keeper holds, and whether that grows without end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from testbed.testing import Testbed

FEWEST = 8  # samples, to tell growth from warming up
SLACK = {"processes": 1, "descriptors": 2, "objects": 2000, "malloc_kib": 256}


@dataclass(frozen=True, slots=True)
class Sample:
    """Programs in the testbed, and of its keeper: open files, objects and memory in use.

    `rss_kib`, its resident memory, is shown but not judged: it has what is free, too.
    """

    processes: int
    descriptors: int
    objects: int
    malloc_kib: int
    rss_kib: int

    def to_json(self) -> dict[str, int]:
        """As `testbed chaos --json` prints it."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.processes} processes, {self.descriptors} descriptors, {self.objects} objects, "
            f"{self.malloc_kib / 1024:.1f} MiB of memory in use"
        )


def look(testbed: Testbed) -> Sample:
    """Ask the keeper for it."""
    return Sample(**testbed.client.resources())


def leaks(samples: Sequence[Sample]) -> list[str]:
    """What grows and does not level off, one line each.

    The medians of the last three quarters have to rise each time, by more than
    the slack in all; the first quarter is for warming up. Of fewer samples than
    FEWEST nothing can be said.
    """
    found: list[str] = []
    if len(samples) < FEWEST:
        return found
    for name, slack in SLACK.items():
        values = [sample.to_json()[name] for sample in samples]
        quarter = len(values) // 4
        parts = [values[-3 * quarter : -2 * quarter], values[-2 * quarter : -quarter]]
        steps = [median(part) for part in (*parts, values[-quarter:])]
        if steps[0] < steps[1] < steps[2] and steps[2] - steps[0] > slack:
            what = name.replace("malloc_kib", "memory in use (KiB)")
            found.append(f"keeper: {what} grows: {' → '.join(f'{step:g}' for step in steps)}")
    return found
