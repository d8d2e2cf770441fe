"""What must make the checks of LAGs fail."""

from packets.mutations import Mutation, interface
from testbed.plan.model import Bond

SITE = "topologies/two-racks.yaml"
MUTATIONS = {
    "lag.carrier": Mutation(SITE, "cnd1 op-a_2", change=interface("cnd1", "op-a_2", up=False)),
    "lag.fast-rate": Mutation(
        SITE,
        "cnd2 op-a_1",
        change=interface("cnd2", "op-a", device=Bond(lacp_rate="slow")),
        seen="slow",
    ),
    "lag.members": Mutation(SITE, "cnd3 op-b_2", change=interface("cnd3", "op-b_2", master=None)),
}
