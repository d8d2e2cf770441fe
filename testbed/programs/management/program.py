"""`testbed-management agent CONFIG` and `testbed-management collector CONFIG`."""

from __future__ import annotations

import json


def main(argv: list[str]) -> None:
    """Run one of the two programs."""
    role, path = argv
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow to import
        config = json.load(file)
    if role == "agent":
        from testbed.programs.management.agent import Agent  # noqa: PLC0415

        Agent(config).run()
    else:
        from testbed.programs.management.collector import Collector  # noqa: PLC0415

        Collector(config).run()
