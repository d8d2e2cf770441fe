"""What must make the checks of local gateways fail."""

from packets.mutations import Fault, Mutation, drop
from packets.mutations.editing import like_route

SITE = "topologies/two-racks.yaml"
DIRECT = "topologies/direct-vpc-routing.yaml"
MUTATIONS = {
    "local-gateway.reached": Mutation(
        SITE, "desk to 10.77.7.88", change=drop("op-a.lgw", 'oifname "vpc-app"')
    ),
    "local-gateway.path": Mutation(
        SITE, "a to 192.168.10.10", change=drop("op-a.lgw", "ip length 1500")
    ),
    "local-gateway.only-announced": Mutation(
        DIRECT,
        "10.0.4.4 at op.vpc-app",
        change=like_route("op.lgw", "10.0.3.0/24", 1004, "10.0.4.0/24", 1004),
        seen="let in",
    ),
    "local-gateway.shared": Mutation(
        SITE,
        "op-a op-a.ond2",
        faults=(Fault("route-withdrawn", "cnd2:op-a.2002"),),
        settle_s=2.0,
    ),
}
