"""What must make the checks of security groups fail."""

from packets.mutations import Mutation, drop
from packets.mutations.editing import in_rules

SITE = "topologies/security-groups.yaml"
MUTATIONS = {
    "security-groups.allowed": Mutation(
        SITE,
        "desk to 10.77.7.10, TCP 80",
        change=drop("op.vpc-app", "ip daddr 10.77.7.10 tcp dport 80"),
    ),
    "security-groups.denied": Mutation(
        SITE,
        "desk to 10.77.7.10, TCP 81",
        change=in_rules("op.vpc-app", "6 . 80 . 192.168.10.0/24", "6 . 80-81 . 192.168.10.0/24"),
    ),
}
