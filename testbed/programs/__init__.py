"""What runs inside nodes, each program a module with `main(argv)`. Standard library only.

They may run in an emulated guest, where an import costs ten times as much.
"""

PROGRAMS = {
    "testbed-capture": "testbed.programs.capture.program",
    "testbed-carrier": "testbed.programs.carrier",
    "testbed-dhcp-client": "testbed.programs.dhcp_client",
    "testbed-container": "testbed.programs.container.program",
    "testbed-ecs": "testbed.programs.ecs.program",
    "testbed-ecs-agent": "testbed.programs.ecs_agent.program",
    "testbed-fetch": "testbed.programs.fetch",
    "testbed-front": "testbed.programs.front",
    "testbed-half-open": "testbed.programs.half_open",
    "testbed-host": "testbed.programs.host",
    "testbed-layer2": "testbed.programs.layer2.program",
    "testbed-launcher": "testbed.programs.launcher",
    "testbed-link-meter": "testbed.programs.link_meter",
    "testbed-management": "testbed.programs.management.program",
    "testbed-metadata": "testbed.programs.metadata",
    "testbed-questions": "testbed.programs.questions",
    "testbed-requests": "testbed.programs.requests",
    "testbed-resolve": "testbed.programs.resolve",
    "testbed-send": "testbed.programs.send",
    "testbed-services": "testbed.programs.services",
    "testbed-stream": "testbed.programs.stream",
    "testbed-transfer": "testbed.programs.transfer",
    "testbed-unheard": "testbed.programs.unheard",
    "testbed-users": "testbed.programs.users",
}
"""The modules of the programs, by the names that plans and clients start them by."""
