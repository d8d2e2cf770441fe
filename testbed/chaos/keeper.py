"""What the testbed's keeper holds, and whether that grows without end."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from testbed.errors import HostError
from testbed.testing import Testbed

# Runs in a node: the keeper is process 1 of the testbed.
LOOK = """
import json, os
numbers = [n for n in os.listdir("/proc") if n.isdigit() and int(n) != os.getpid()]
user = []
for number in numbers:
    try:
        with open(f"/proc/{number}/cmdline", "rb") as file:
            user.append(bool(file.read()))
    except OSError:
        pass
with open("/proc/1/status") as file:
    rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
print(json.dumps(
    {"processes": sum(user), "descriptors": len(os.listdir("/proc/1/fd")), "rss_kib": rss}
))
"""
FEWEST = 8  # samples, to tell growth from warming up
SLACK = {"processes": 1, "descriptors": 2, "rss_kib": 1024}


@dataclass(frozen=True, slots=True)
class Sample:
    """Processes in the testbed but the kernel's, and the keeper's open files and memory."""

    processes: int
    descriptors: int
    rss_kib: int

    def to_json(self) -> dict[str, int]:
        """As `testbed chaos --json` prints it."""
        return asdict(self)

    def __str__(self) -> str:
        memory = f"{self.rss_kib / 1024:.1f} MiB"
        return f"{self.processes} processes, {self.descriptors} descriptors, {memory}"


def look(testbed: Testbed) -> Sample:
    """Measure it from inside the testbed; HostError where that can't be done."""
    node = testbed.plan.nodes[0].name
    done = testbed[node].run([sys.executable, "-I", "-S", "-c", LOOK], check=False)
    try:
        return Sample(**json.loads(done.text))
    except (ValueError, TypeError) as error:
        raise HostError("the keeper can't be looked at", hint=done.text[-300:] or None) from error


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
            what = name.replace("rss_kib", "memory in KiB")
            found.append(f"keeper: {what} grows: {' → '.join(f'{step:g}' for step in steps)}")
    return found
