"""What must make the checks of MTUs fail."""

from packets.mutations import Fault, Mutation, drop

SITE = "topologies/two-racks.yaml"
MUTATIONS = {
    "mtu.path": Mutation(
        SITE,
        "a to 10.77.1.4",
        faults=(Fault("mtu", "op-a.vpc-app:sl", {"mtu": 1200}),),
        seen="MTU 1200",
    ),
    "mtu.tcp": Mutation(
        SITE,
        "a to",
        change=drop("op-a.vpc-app", "icmp type destination-unreachable", hook="output"),
    ),
}
