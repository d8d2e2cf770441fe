"""`testbed-ecs-agent NODE DIRECTORY CLUSTER`: the ECS agent of an instance."""

from __future__ import annotations

import json
from pathlib import Path

from testbed.programs.ecs_agent import runtime
from testbed.programs.ecs_agent.agent import CONFIG, Agent


def main(argv: list[str]) -> None:
    """Work until killed."""
    node, directory, _ = argv
    place = Path(directory)
    resolver = str(json.loads((place / CONFIG).read_text())["resolv_conf"])
    control = runtime.begin(resolver)  # before there are threads
    runtime.own_resolver(resolver)
    Agent(node, place, control).run()
