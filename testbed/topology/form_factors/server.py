"""Outposts servers: 1U and 2U (facts: N1, N2, N3).

Both have a QSFP+ port whose breakout cable ends in two ports of the customer's: one for local
network interfaces, one for the service link. They differ in their instances.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerFormFactor:
    """A kind of Outposts server; `family` are the instance types that it offers."""

    name: str
    title: str
    family: str

    @property
    def default_type(self) -> str:
        """The instance type of instances that say none."""
        return f"{self.family}.large"


SERVERS: dict[str, ServerFormFactor] = {
    "server": ServerFormFactor("server", "an Outposts server (2U)", "c6id"),
    "server-1u": ServerFormFactor("server-1u", "a 1U Outposts server", "c6gd"),
    "server-2u": ServerFormFactor("server-2u", "a 2U Outposts server", "c6id"),
}
"""Those of servers, by the topology file's word."""

# (baseline, burst) of a local network interface in Mbit/s, by instance type (facts: N2).
LNI_BANDWIDTH: dict[str, tuple[float, float]] = {
    "c6id.large": (156.25, 2500.0),
    "c6id.xlarge": (312.5, 2500.0),
    "c6id.2xlarge": (625.0, 2500.0),
    "c6id.4xlarge": (1250.0, 2500.0),
    "c6id.8xlarge": (2500.0, 2500.0),
    "c6id.12xlarge": (3750.0, 3750.0),
    "c6id.16xlarge": (5000.0, 5000.0),
    "c6id.24xlarge": (7500.0, 7500.0),
    "c6id.32xlarge": (10000.0, 10000.0),
    "c6gd.medium": (156.25, 4000.0),
    "c6gd.large": (312.5, 4000.0),
    "c6gd.xlarge": (625.0, 4000.0),
    "c6gd.2xlarge": (1250.0, 4000.0),
    "c6gd.4xlarge": (2500.0, 4000.0),
    "c6gd.8xlarge": (4800.0, 4800.0),
    "c6gd.12xlarge": (7500.0, 7500.0),
    "c6gd.16xlarge": (10000.0, 10000.0),
}
