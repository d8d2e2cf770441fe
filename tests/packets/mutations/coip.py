"""What must make the checks of customer-owned addresses fail."""

from packets.mutations import Mutation, both, drop
from packets.mutations.editing import in_rules, like_route

SITE = "topologies/coip.yaml"
OWNED = "172.20.0.0/26"
MUTATIONS = {
    "coip.reached": Mutation(
        SITE, "desk to 172.20.0.2", change=drop("op.lgw", 'iifname "ond*" oifname "coip-app"')
    ),
    "coip.translated": Mutation(
        SITE, "web as desk", change=in_rules("op.coip-app", "172.20.0.2", "172.20.0.9")
    ),
    "coip.hairpin": Mutation(
        SITE, "app to 172.20.0.2", change=drop("op.lgw", 'iifname "coip-app" oifname "coip-app"')
    ),
    "coip.only-owned": Mutation(
        SITE,
        "alone at op.vpc-app",
        change=both(
            like_route("op.lgw", OWNED, 1006, "10.0.4.0/24", 1006),
            like_route("op.lgw", OWNED, 1007, "10.0.4.0/24", 1007),
            in_rules("op.coip-app", "counter drop comment", "accept comment"),
        ),
    ),
}
