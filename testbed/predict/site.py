"""The customer's network: what of it is connected, and what local gateways announce to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.predict.packet import Address
    from testbed.topology.model import Host, Outpost, Topology


class CustomerNetwork:
    """Connectivity in the customer's devices (VRF lgw): links between them, and the WAN.

    Whatever is connected is assumed to reach each other: routing there is the
    customer's own, and a difference to it is what one wants to be told.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._island: dict[str, str] = {}  # device to what stands for all that are connected
        site = topology.site
        for device in site.devices:
            self._island[device.name] = device.name
        for link in site.links:
            if link.vrf == "lgw":
                self._join(*link.devices)
        if site.wan is not None:
            for uplink in site.wan.uplinks[1:]:
                self._join(site.wan.uplinks[0].device, uplink.device)

    def _join(self, one: str, other: str) -> None:
        old, new = self._island[one], self._island[other]
        for device, island in self._island.items():
            if island == old:
                self._island[device] = new

    def of_device(self, name: str) -> str:
        """The island that a device is on."""
        return self._island[name]

    def of_host(self, host: Host) -> set[str]:
        """The islands that a host is on."""
        return self.of_segment(host.segment)

    def of_segment(self, name: str) -> set[str]:
        """The islands that a LAN segment is on."""
        segment = next(s for s in self._topology.site.segments if s.name == name)
        return {self._island[device] for device, _ in segment.routers}

    def of_outpost(self, outpost: str) -> set[str]:
        """The islands that an Outpost's local gateway is connected to."""
        lags = self._topology.outposts[outpost].lags
        return {self._island[lag.customer_device] for lag in lags}

    def host_at(self, address: Address) -> Host | None:
        """The host that has the address."""
        hosts = self._topology.site.hosts
        return next((host for host in hosts if host.address.ip == address), None)

    def outpost_for(self, address: Address, islands: set[str]) -> tuple[Outpost | None, int]:
        """The Outpost whose local gateway announces the longest prefix of the address.

        And that prefix's length, -1 where none does.
        """
        ways = [
            (prefix.prefixlen, outpost.name)
            for outpost in self._topology.outposts.values()
            if islands & self.of_outpost(outpost.name)
            for prefix in self._topology.announced(outpost)
            if address in prefix
        ]
        length, name = max(ways, default=(-1, ""))
        return self._topology.outposts.get(name), length
