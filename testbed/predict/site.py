"""The customer's network: what of it is connected, and what local gateways announce to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.predict.packet import Address
    from testbed.topology.model import Gateway, Host, Topology

Island = tuple[str, str]
"""A device and one of its VRFs, which stand for all that are connected to them."""


class CustomerNetwork:
    """Connectivity in the customer's devices' VRFs for local gateways: links, and the WAN (lgw).

    Whatever is connected is assumed to reach each other: routing there is the
    customer's own, and a difference to it is what one wants to be told. No VRF leaks into another.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._vrfs = topology.local_gateway_vrfs
        site = topology.site
        self._island: dict[Island, Island] = {
            (device.name, vrf): (device.name, vrf) for device in site.devices for vrf in self._vrfs
        }
        for link in site.links:
            if link.vrf in self._vrfs:
                self._join(*((device, link.vrf) for device in link.devices))
        if site.wan is not None:
            for uplink in site.wan.uplinks[1:]:
                first = site.wan.uplinks[0].device
                self._join((first, self._vrfs[0]), (uplink.device, self._vrfs[0]))

    def _join(self, one: Island, other: Island) -> None:
        old, new = self._island[one], self._island[other]
        for device, island in self._island.items():
            if island == old:
                self._island[device] = new

    def of_device(self, name: str) -> Island:
        """The island that a device's VRF lgw is on."""
        return self._island[name, self._vrfs[0]]

    def of_host(self, host: Host) -> set[Island]:
        """The islands that a host is on."""
        return self.of_segment(host.segment)

    def of_segment(self, name: str) -> set[Island]:
        """The islands that a LAN segment is on."""
        segment = next(s for s in self._topology.site.segments if s.name == name)
        return {self._island[device, segment.vrf] for device, _ in segment.routers}

    def of_gateway(self, gateway: Gateway) -> set[Island]:
        """The islands that a local gateway is connected to, in a routing domain."""
        rack, domain = gateway
        return {
            self._island[lag.customer_device, domain.vrf]
            for lag in rack.lags
            if lag.local_gateway(domain.name) is not None
        }

    def host_at(self, address: Address) -> Host | None:
        """The host that has the address."""
        hosts = self._topology.site.hosts
        return next((host for host in hosts if host.address.ip == address), None)

    def gateway_for(self, address: Address, islands: set[Island]) -> tuple[Gateway | None, int]:
        """The local gateway that announces the longest prefix of the address, and its domain.

        And that prefix's length, -1 where none does.
        """
        ways = {
            (prefix.prefixlen, rack.name, domain.name): (rack, domain)
            for rack, domain in self._topology.gateways
            if islands & self.of_gateway((rack, domain))
            for prefix in self._topology.announced(rack, domain)
            if address in prefix
        }
        if not ways:
            return None, -1
        best = max(ways)
        return ways[best], best[0]
