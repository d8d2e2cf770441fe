"""First-generation racks: one Outpost of one to three compute racks (facts: R1, R2).

One compute rack has two networking devices with a LAG each. Those of several racks are connected
to each other inside the Outpost, and four of them have a LAG to the customer. Each networking
device announces one half of a rack's infrastructure subnet with AS path length 1, and the others'
with 4.
"""

from testbed.topology.form_factors.base import FormFactor, halves

FORM_FACTOR = FormFactor(
    name="rack",
    title="a first-generation rack",
    compute_racks=range(1, 4),
    devices=lambda compute_racks: 2 if compute_racks == 1 else 4,
    lags_per_device=1,
    customer_devices=(1, 2),
    uplinks={1: (1, 2, 4, 6, 8), 10: (1, 2, 4, 8, 12, 16), 40: (1, 2, 4), 100: (1, 2, 4)},
    infrastructure_length=26,
    infrastructure_subnets=lambda compute_racks: compute_racks,
    infrastructure_title="a rack's infrastructure subnet is a /26, announced as two /27s",
    split=halves,
    point_to_point=(30, 31),
    routing_domains=1,
    customer_vifs=False,
    separate=False,
    source="requirements checklist",
    facts="R1, R2",
)
