"""What must make the checks of disconnected Outposts fail."""

from packets.mutations import Fault, Mutation, drop

SITE = "topologies/two-racks.yaml"
MUTATIONS = {
    "disconnected.traffic": Mutation(
        SITE, "desk to a", faults=(Fault("impair", "desk:eth0", {"loss": "20%"}),), only=("op-a",)
    ),
    "disconnected.services": Mutation(
        SITE,
        "a instance metadata, cut",
        change=drop("op-a.vpc-app", "ip daddr 169.254.169.254", hook="input"),
        only=("op-a",),
    ),
    "disconnected.metrics": Mutation(
        SITE,
        "op-a management channel, healed",
        faults=(Fault("region-api-down", "op-a"),),
        only=("op-a",),
    ),
}
