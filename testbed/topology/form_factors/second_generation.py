"""Second-generation racks with a network rack (facts: R1b, R2b, L3).

The network rack's four networking devices have one LAG each, to two or four customer devices.
"""

from testbed.topology.form_factors.base import FormFactor, whole

FORM_FACTOR = FormFactor(
    name="rack-2nd-generation",
    title="a second-generation rack with a network rack",
    compute_racks=range(1, 33),
    devices=lambda compute_racks: 4,  # noqa: ARG005 - however many there are
    lags_per_device=1,
    customer_devices=(2, 4),
    uplinks={10: (1, 2, 4, 8, 12, 16), 40: (1, 2, 4, 8), 100: (1, 2, 4, 8)},
    infrastructure_length=24,
    infrastructure_subnets=lambda compute_racks: 1,  # noqa: ARG005 - one an Outpost
    infrastructure_title="a second-generation Outpost's infrastructure subnet is a /24",
    split=whole,
    point_to_point=(31,),
    routing_domains=10,
    customer_vifs=True,
    separate=True,
    source="second-generation requirements",
    facts="R1b, R2b",
)
