"""What must make the checks of failovers fail: that which would take over does not work."""

from packets.mutations import Fault, Mutation

SITE = "topologies/two-racks.yaml"
NO_SECOND_LAG = Fault("link-down", "op-a.ond2:bond0")
MUTATIONS = {
    "failover.link": Mutation(
        SITE,
        "op-a.lag1",
        faults=(NO_SECOND_LAG, Fault("link-down", "op-a.ond1:uplink2")),
        only=("op-a.lag1",),
    ),
    "failover.lag": Mutation(
        SITE, "op-a.lag1", faults=(NO_SECOND_LAG,), settle_s=2.0, only=("op-a.lag1",)
    ),
    "failover.networking-device": Mutation(
        SITE, "op-a.ond1", faults=(NO_SECOND_LAG,), settle_s=2.0, only=("op-a.lag1",)
    ),
    "failover.customer-device": Mutation(
        SITE, "cnd1", faults=(NO_SECOND_LAG,), settle_s=2.0, only=("cnd1",)
    ),
    "failover.firewall": Mutation(
        "topologies/firewalls.yaml",
        "fw1: web to db",
        faults=(Fault("link-down", "region.edge:cust-fw2"),),
        seen="requests lost",
        settle_s=2.0,
        only=("fw1",),
    ),
    "failover.tunnel": Mutation(
        SITE,
        "op-a.tunnel1",
        faults=(Fault("service-link-cut", "op-a", {"tunnel": 2}),),
        settle_s=2.0,
        only=("op-a.tunnel1",),
    ),
    "failover.session": Mutation(
        SITE,
        "op-a.lag1.local-gateway BGP",
        faults=(NO_SECOND_LAG,),
        settle_s=2.0,
        only=("op-a.lag1.local-gateway",),
    ),
    "failover.uplink": Mutation(
        SITE,
        "cnd1 - Region edge",
        faults=(Fault("link-down", "region.edge:cust-cnd2"),),
        settle_s=2.0,
        only=("cnd1",),
    ),
}
