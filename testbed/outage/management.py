"""What can be managed while something is cut: calls of AWS's API, tried but not carried out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.api.endpoint import Endpoint
    from testbed.control.client import Client

ACCEPTED, DRY = "accepted", "DryRunOperation"
REGION = "the Region"
IMAGE = "ami-0123456789abcdef0"

Attempts = dict[str, dict[str, str]]
"""By place (an Outpost, or REGION) and operation: ACCEPTED, or the code of the refusal."""


@contextlib.contextmanager
def endpoint(client: Client) -> Iterator[Endpoint | None]:
    """Give AWS's endpoint of a testbed; None where its packages are not installed.

    It has to be there before what is cut, to hear of it.
    """
    try:
        from testbed.api.endpoint import Endpoint  # noqa: PLC0415
    except ModuleNotFoundError:
        yield None
        return
    made = Endpoint(client)
    try:
        yield made
    finally:
        made.close()


def attempts(made: Endpoint) -> Attempts:
    """Try to run and to stop an instance in each place, with DryRun."""
    world = made.world()
    found: Attempts = {}
    for instance in world.topology.instances.values():
        place = world.topology.subnet(instance.vpc, instance.subnet).outpost or REGION
        if place not in found:
            subnet = world.id("subnet", instance.vpc, instance.subnet)
            calls: Mapping[str, dict[str, Any]] = {
                "RunInstances": {
                    "ImageId": IMAGE,
                    "SubnetId": subnet,
                    "InstanceType": instance.type,
                    "MinCount": 1,
                    "MaxCount": 1,
                },
                "StopInstances": {"InstanceIds": [world.id("instance", instance.name)]},
                "CreateTags": {"Resources": [subnet], "Tags": [{"Key": "outage", "Value": "1"}]},
            }
            found[place] = {name: _try(made, name, given) for name, given in calls.items()}
    return found


def _try(made: Endpoint, operation: str, parameters: dict[str, Any]) -> str:
    from testbed.api.errors import ApiError  # noqa: PLC0415

    try:
        made.call("ec2", operation, {**parameters, "DryRun": True})
    except ApiError as error:
        return ACCEPTED if error.code == DRY else error.code
    return ACCEPTED
