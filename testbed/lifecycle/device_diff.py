"""What the testbed would have generated for a customer device, and how its own file differs."""

from __future__ import annotations

from dataclasses import replace
from difflib import unified_diff
from typing import TYPE_CHECKING

from testbed.errors import UsageError
from testbed.lower.site.own_configuration import in_the_testbeds_words
from testbed.plan.files import files_of

if TYPE_CHECKING:
    from testbed.topology.model import Device, Topology


def generated(topology: Topology, name: str) -> str:
    """Return what is generated for a device, whether or not it has a file of its own.

    FRR's daemons have a file each; here they follow each other. UsageError where there is no
    such device.
    """
    device = _device(topology, name)
    plain = replace(device, config=None, config_interfaces={}, vrfs={})
    devices = tuple(plain if each is device else each for each in topology.site.devices)
    from testbed.lower import lower  # noqa: PLC0415 - jinja2 and cryptography are slow to import

    node = lower(replace(topology, site=replace(topology.site, devices=devices))).node(name)
    return "".join(text for file, text in files_of(node).items() if file.endswith(".conf"))


def difference(topology: Topology, name: str) -> str:
    """Return how a device's own configuration differs from the generated one, as diff -u does.

    UsageError where it has none, or where there is no such device.
    """
    device = _device(topology, name)
    if device.config is None:
        hint = f"testbed plan TOPOLOGY --device {name} prints the generated one"
        raise UsageError(f"{name} has no configuration of its own", hint=hint)
    own = in_the_testbeds_words(device.config, device.config_interfaces)
    lines = unified_diff(
        generated(topology, name).splitlines(keepends=True),
        own.splitlines(keepends=True),
        f"{name}, as generated",
        device.config_file or name,
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _device(topology: Topology, name: str) -> Device:
    for device in topology.site.devices:
        if device.name == name:
            return device
    names = ", ".join(device.name for device in topology.site.devices)
    raise UsageError(f"no customer device {name!r}", hint=f"the devices are {names}")
