"""Which operations are whose: the testbed's own, or moto's."""

from __future__ import annotations

from testbed.api.codec.models import service_model
from testbed.api.elsewhere import EC2, SERVICES
from testbed.api.operations import OPERATIONS


def coverage() -> dict[str, dict[str, list[str]]]:
    """Return, by service, the operations that are `own`, moto's (`moto`), and nobody's (`none`)."""
    import testbed.api.cloudwatch  # noqa: PLC0415 - declares the operations
    import testbed.api.ec2  # noqa: PLC0415
    import testbed.api.ecs  # noqa: PLC0415
    import testbed.api.outposts  # noqa: F401, PLC0415

    own = {service for service, _ in OPERATIONS}
    found = {}
    for service in (*sorted(own), *SERVICES):
        names = list(service_model(service).operation_names)
        rows: dict[str, list[str]] = {"own": [], "moto": [], "none": []}
        for name in names:
            is_moved = service in SERVICES or (service == "ec2" and name in EC2)
            rows["own" if (service, name) in OPERATIONS else "moto" if is_moved else "none"].append(
                name
            )
        found[service] = rows
    return found
