"""BGP settings of a customer device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from testbed.plan.bgp import RESTART_S, Bfd, GracefulRestart, Policy


@dataclass(frozen=True, slots=True)
class BgpSettings:
    """What a file says of sessions, on the device's side; None is what it leaves out.

    Terms of policies that have no prefixes are about those that the session has without them.
    """

    hold_time: int | None = None
    keepalive_time: int | None = None
    bfd: Bfd | None = None
    graceful_restart: GracefulRestart | None = None
    password: str | None = None
    ttl_security: bool | None = None
    max_prefixes: int | None = None
    allowas_in: int | None = None
    as_override: bool | None = None
    remove_private_as: bool | None = None
    default_originate: bool | None = None
    inbound: Policy | None = None
    outbound: Policy | None = None

    def over(self, other: BgpSettings) -> BgpSettings:
        """Return these settings, and the other ones where these have none."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(other, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True, slots=True)
class DeviceBgp:
    """BGP settings of a device, and those of its sessions, by neighbour or neighbour/session."""

    common: BgpSettings = BgpSettings()
    sessions: Mapping[str, BgpSettings] = field(default_factory=dict)
    restart_time: int = RESTART_S

    def of(self, neighbor: str, session: str) -> BgpSettings:
        """Return what holds for a session; what is said of it alone goes first."""
        found = self.common
        for name in (neighbor, f"{neighbor}/{session}"):
            if name in self.sessions:
                found = self.sessions[name].over(found)
        return found
