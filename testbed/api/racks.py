"""Local gateways' route tables: one of a rack, or one for each of its routing domains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from testbed.topology.model import CoipPool, Lag, Rack, RoutingDomain, Topology, Vif


@dataclass(frozen=True)
class Table:
    """A local gateway's route table, with the VIF group that belongs to it."""

    rack: Rack
    domain: RoutingDomain

    @property
    def name(self) -> str:
        """Its name in editing operations: the Outpost's, or OUTPOST/DOMAIN."""
        return f"{self.rack.name}/{self.domain.name}" if self.domain.name else self.rack.name

    def vifs(self) -> Iterator[tuple[Lag, Vif]]:
        """Find the virtual interfaces of its VIF group."""
        for lag in self.rack.lags:
            if (vif := lag.local_gateway(self.domain.name)) is not None:
                yield lag, vif

    def vif_names(self, lag: Lag) -> tuple[str, str]:
        """Return what identifies its virtual interface on a LAG."""
        return self.name, str(lag.number)


def tables(topology: Topology) -> Iterator[Table]:
    """Find all route tables of local gateways."""
    for rack in topology.racks.values():
        for domain in rack.domains:
            yield Table(rack, domain)


def table_of(topology: Topology, name: str) -> Table:
    """Return the route table of that name."""
    return next(table for table in tables(topology) if table.name == name)


def pool_of(topology: Topology, outpost: str, name: str) -> tuple[Table, CoipPool]:
    """Return a customer-owned IP pool of an Outpost, and its route table."""
    return next(
        (table, pool)
        for table in tables(topology)
        for pool in table.domain.pools
        if (table.rack.name, pool.name) == (outpost, name)
    )
