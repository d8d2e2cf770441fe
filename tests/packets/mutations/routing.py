"""What must make the checks of route tables fail."""

from packets.mutations import Fault, Mutation, drop
from packets.mutations.editing import without_route

SITE = "topologies/two-racks.yaml"
TRANSIT = "topologies/transit-gateway.yaml"
MUTATIONS = {
    "routing.states": Mutation(
        SITE,
        "route table rack-a: 10.77.11.0/24",
        change=without_route("op-a.vpc-app", "10.77.11.0/24", 2),
    ),
    "routing.within-vpc": Mutation(
        SITE, "a to 10.77.1.4", faults=(Fault("service-link-cut", "op-a"),), settle_s=2.0
    ),
    "routing.between-vpcs": Mutation(
        TRANSIT, "dev-1 to", change=drop("region.tgw-hub", 'iifname "att-dev"')
    ),
    "routing.ipv6": Mutation(
        "tests/packets/ipv6.yaml",
        "web to 2001:db8:1:aa08::4",
        change=drop("op.vpc-app", 'meta nfproto ipv6 oifname "sl"'),
    ),
    "routing.targets": Mutation(
        SITE,
        "route table rack-a: 10.77.11.0/24",
        change=drop("op-a.vpc-app", 'iifname "eni-a" oifname "lgw" ip daddr 10.77.11.0/24'),
    ),
    "routing.targets one-of-two-instances": Mutation(
        "topologies/security-groups.yaml",
        "route table",
        change=drop("op.vpc-app", 'iifname "eni-app" oifname "lgw"'),
    ),
    "routing.answers": Mutation(
        SITE,
        "b to 10.77.7.88, TCP",
        change=drop("op-a.vpc-app", 'iifname "eni-a" oifname "lgw" ip protocol tcp'),
        only=("a",),
    ),
    "routing.local-gateway": Mutation(
        SITE,
        "op-a local gateway route table: 10.77.7.0/24",
        change=without_route("op-a.lgw", "10.77.7.0/24", 1004),
    ),
}
