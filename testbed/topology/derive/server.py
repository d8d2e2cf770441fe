"""What is derived for an Outposts server."""

from __future__ import annotations

from testbed.topology import references
from testbed.topology.model import Server
from testbed.topology.schema import TopologyForm


def derive_server(form: TopologyForm, name: str, index: int) -> Server:
    """Return the resolved server; `index` is its number from 0."""
    outpost = form.outposts[name]
    zone = outpost.zone or references.zones(form)[0]
    return Server(name=name, number=index + 1, form_factor=outpost.form_factor, zone=zone)
