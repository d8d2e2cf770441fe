"""Outposts servers: a port for the service link, and one for local network interfaces."""

from __future__ import annotations

from testbed.errors import UsageError
from testbed.lower.builder import Draft
from testbed.topology.model import Server, Topology


def lower(draft: Draft, topology: Topology, server: Server) -> None:  # noqa: ARG001 - not yet
    """Refuse a server: UsageError. The rules of topologies refuse it before."""
    hint = "use form_factor: rack"
    raise UsageError(f"{server.name}: Outposts servers cannot be built yet", hint=hint)
