"""What must make the checks of metrics fail."""

from packets.mutations import Fault, Mutation, drop, in_file

SITE = "tests/packets/management.yaml"  # whose metrics come every second
OFF = "protocol bgp customer_{0} {{\n"


def disabled(purpose: str) -> Mutation:
    """One session of OND 1 is off."""
    head = OFF.format(purpose)
    change = in_file("op.ond1", "bird.conf", head, f"{head}  disabled;\n")
    where = purpose.replace("_", " ")
    return Mutation(
        SITE, "op.lag1", change=change, seen=f"the configuration of the {where} VIF", settle_s=3.0
    )


MUTATIONS = {
    "metrics.matrix service-link": disabled("service_link"),
    "metrics.matrix local-gateway": disabled("local_gateway"),
    "metrics.vif-connection": Mutation(
        SITE,
        "op.lag2.service-link",
        change=in_file(
            "op.ond2",
            "bird.conf",
            OFF.format("service_link"),
            OFF.format("service_link") + "  disabled;\n",
        ),
        seen="VifBgpSessionState 1",
        settle_s=3.0,
    ),
    "metrics.connected-status": Mutation(
        SITE,
        "op",
        faults=(Fault("service-link-cut", "op"),),
        seen="ConnectedStatus 0",
        settle_s=4.0,
    ),
    "metrics.tells-the-truth": Mutation(
        SITE, "op.lag1", change=drop("op.sl", "tcp dport 443"), seen="nothing recent", settle_s=4.0
    ),
}
