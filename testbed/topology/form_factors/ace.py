"""First-generation racks behind an ACE (aggregation, core, edge) rack (facts: R1, R2a, H1).

Its four networking devices connect to two or four customer devices, the compute racks' to none.
AWS requires it from four compute racks on. In the steady state each device carries a quarter of
the traffic, so all of them announce every half with the same path length.
"""

from testbed.topology.form_factors.base import FormFactor, shared_halves

FORM_FACTOR = FormFactor(
    name="rack-with-ace",
    title="a first-generation rack with an ACE rack",
    compute_racks=range(1, 33),
    devices=lambda compute_racks: 4,  # noqa: ARG005 - however many there are
    lags_per_device=1,
    customer_devices=(2, 4),
    uplinks={10: (1, 2, 4, 8, 12, 16), 40: (1, 2, 4), 100: (1, 2, 4)},
    infrastructure_length=26,
    infrastructure_subnets=lambda compute_racks: compute_racks,
    infrastructure_title="a rack's infrastructure subnet is a /26, announced as two /27s",
    split=shared_halves,
    point_to_point=(29, 30, 31),
    routing_domains=1,
    customer_vifs=False,
    separate=True,
    source="ACE rack requirements",
    facts="R2a",
)
