"""Outposts servers."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.topology.model.region import Anchor


@dataclass(frozen=True, slots=True)
class Server:
    """An Outposts server; `number` is its own for as long as it exists, as a rack's is.

    It has no local gateway, no BGP and no private connectivity (facts: N1).
    """

    name: str
    number: int
    form_factor: str
    zone: str

    @property
    def private_anchors(self) -> tuple[Anchor, ...]:
        """None: a server's service link goes to the Region's public addresses (facts: N1)."""
        return ()

    @property
    def resolver(self) -> bool:
        """False: Route 53 Resolver on Outposts is for racks (AWS: what is AWS Outposts)."""
        return False
