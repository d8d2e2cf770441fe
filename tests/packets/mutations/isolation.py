"""What must make the checks of isolation fail."""

import sys
from dataclasses import replace

from packets.mutations import Mutation, node
from packets.mutations.editing import in_rules, like_route
from testbed.plan.model import Process

BLOCKED = "topologies/two-racks-blocked.yaml"
DIRECT = "topologies/direct-vpc-routing.yaml"
GROUPS = "topologies/security-groups.yaml"
HUB = """
import socket
one, other = (socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) for _ in "12")
one.bind(("eni-web", 3))
other.bind(("eni-app", 0))
while True:
    frame, where = one.recvfrom(2000)
    if frame[0] & 1 and where[2] != socket.PACKET_OUTGOING:
        other.send(frame)
"""
MUTATIONS = {
    "isolation.outposts": Mutation(
        BLOCKED,
        "a to b",
        change=in_rules("region.vpc-app", 'iifname "op-*" oifname "op-*" counter drop', "counter"),
    ),
    "isolation.vpcs": Mutation(
        DIRECT,
        "web to other",
        change=like_route("op.lgw", "10.8.3.0/24", 1004, "10.8.3.0/24", 1005),
    ),
    "isolation.spoofing": Mutation(
        GROUPS,
        "web at op.vpc-app: a frame with",
        change=in_rules(
            "op.vpc-app",
            '    counter drop comment "source/destination check: a source',
            '    counter comment "source/destination check: a source',
        ),
    ),
    "isolation.broadcast": Mutation(
        GROUPS,
        "VPC app: app",
        change=node(
            "op.vpc-app",
            lambda entry: replace(
                entry,
                processes=(*entry.processes, Process("hub", (sys.executable, "-c", HUB))),
            ),
        ),
        settle_s=1.0,
    ),
}
