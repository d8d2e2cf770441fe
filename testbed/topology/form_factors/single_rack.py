"""The second-generation single rack, without a network rack (facts: R2c).

Each of its two networking devices has one LAG to each of two customer devices.
"""

from testbed.topology.form_factors.base import FormFactor, whole

FORM_FACTOR = FormFactor(
    name="single-rack-2nd-generation",
    title="a second-generation single rack",
    compute_racks=range(1, 2),
    devices=lambda compute_racks: 2,  # noqa: ARG005 - it is one
    lags_per_device=2,
    customer_devices=(2,),
    uplinks={10: (1, 2, 4, 8, 12, 16), 40: (1, 2, 4), 100: (1, 2, 4)},
    infrastructure_length=24,
    infrastructure_subnets=lambda compute_racks: 1,  # noqa: ARG005 - it is one
    infrastructure_title="a second-generation Outpost's infrastructure subnet is a /24",
    split=whole,
    point_to_point=(31,),
    routing_domains=10,
    customer_vifs=True,
    separate=False,
    source="single-rack requirements",
    facts="R2c",
)
