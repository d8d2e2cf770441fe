"""Outposts, from the customer's side of their LAGs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from testbed.errors import UsageError
from testbed.importing.cli_style import canonical
from testbed.importing.facts import Neighbor, Port, Switch
from testbed.importing.used import used

ETHERNET_MTU = 1500
POINT_TO_POINT = (30, 31)  # facts: R1
LACP = ("active", "passive")
LONGEST_NAME = 10  # of an Outpost whose LAG's interface can be named in a fault


@dataclass(frozen=True, slots=True)
class _Vif:
    """A VLAN of a LAG that has a subnet and a neighbour on it."""

    port: Port
    vlan: int
    neighbor: Neighbor


def _shown(lag: str) -> str:
    """A LAG as --outpost takes it, whatever its vendor calls it."""
    return lag.replace("lag", "Po")


@dataclass
class Racks:
    """The Outposts found so far, the VRFs of their local gateways, and what is wrong with LAGs."""

    switches: Mapping[str, Switch]
    service_link: frozenset[int]
    notes: list[str]
    outposts: dict[str, Any] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)
    vrfs: set[str] = field(default_factory=set)

    def add(self, outpost: str, places: Sequence[tuple[str, str]]) -> None:
        """Add an Outpost by its LAGs: (device, LAG) of networking device 1, and of 2."""
        if len(places) != 2:
            hint = f"write --outpost {outpost}=DEVICE:LAG,DEVICE:LAG"
            raise UsageError(f"{outpost} has two LAGs, {len(places)} are named", hint=hint)
        devices = [device for device, _ in places]
        lags = [self._lag(device, lag) for device, lag in places]
        entry: dict[str, Any] = {"devices": devices, "uplinks": self._uplinks(outpost, places)}
        purposes: dict[str, list[tuple[int, Switch, _Vif]]] = {}
        for number, (device, lag) in enumerate(zip(devices, lags, strict=True), 1):
            bond = outpost if devices[0] != devices[1] else f"{outpost}-{number}"
            pair = self._told_apart(device, lag)
            for purpose, vif in zip(("service_link", "local_gateway"), pair, strict=True):
                switch = self.switches[device]
                purposes.setdefault(purpose, []).append((number, switch, vif))
                self._wrong(switch, lag, f"{device}:{bond}", vif)
            self._slow(device, lag, f"{device}:{bond}")
        for purpose, vifs in purposes.items():
            entry[purpose] = self._purpose(outpost, purpose, vifs)
        guarded = [bool(s.guarded(v.neighbor)) for vifs in purposes.values() for _, s, v in vifs]
        if all(guarded):
            entry["uplinks"]["bfd"] = True
        elif any(guarded):
            self.notes.append(f"{outpost}: only some sessions have BFD; here none has")
        for vifs in purposes.values():
            for _, switch, vif in vifs:
                used(switch, vif.port, vif.neighbor)
        self.vrfs |= {
            vif.port.vrf.value if vif.port.vrf else "" for _, _, vif in purposes["local_gateway"]
        }
        self.outposts[outpost] = entry
        self.notes.append(
            f"outposts.{outpost}: its infrastructure_cidr is in no file, so it is derived"
        )

    def suggest(self) -> None:
        """Note the LAGs that look like an Outpost's, and that nobody said are."""
        for device, switch in self.switches.items():
            for lag in {port.lag.value for port in switch.ports.values() if port.lag}:
                vifs = self._vifs(switch, switch.port(lag))
                if len(vifs) > 1 and not vifs[0].port.address_used:
                    what = self._listed(switch, vifs)
                    self.notes.append(
                        f"{device} {_shown(lag)}: VLANs with a BGP neighbour are {what}; if it is"
                        " an Outpost's, name it with --outpost"
                    )

    @staticmethod
    def _listed(switch: Switch, vifs: Sequence[_Vif]) -> str:
        asns = [(vif.vlan, switch.remote_asn(vif.neighbor)) for vif in vifs]
        return ", ".join(f"{vlan} (AS {asn.value if asn else '?'})" for vlan, asn in asns)

    def _lag(self, device: str, lag: str) -> Port:
        switch = self.switches.get(device)
        if switch is None:
            hint = f"the devices are {', '.join(self.switches)}"
            raise UsageError(f"--outpost: no file is about {device}", hint=hint)
        name = canonical(lag)
        found = {port.lag.value for port in switch.ports.values() if port.lag}
        if name not in switch.ports or name not in found:
            listed = ", ".join(map(_shown, sorted(found))) or "none"
            hint = f"its LAGs with members are {listed.replace('lag', 'Po')}"
            raise UsageError(f"--outpost: {device} has no LAG {lag} with members", hint=hint)
        return switch.ports[name]

    def _members(self, device: str, lag: Port) -> list[Port]:
        ports = self.switches[device].ports.values()
        return [port for port in ports if port.lag and port.lag.value == lag.name]

    def _uplinks(self, outpost: str, places: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """How many links a LAG has, and how fast; both LAGs must have the same (facts: R1)."""
        counts, speeds = [], set()
        for device, name in places:
            members = [m for m in self._members(device, self._lag(device, name)) if not m.down]
            counts.append(len(members))
            for member in members:
                used(self.switches[device], member)
                assert member.lag is not None
                member.lag.line.used = member.mode in LACP
                member.lag.line.reason = "the LAG has LACP here, which AWS requires"
                speeds |= {member.speed.take()} if member.speed else {""}
        if counts[0] != counts[1]:
            message = f"the LAGs of {outpost} have {counts[0]} and {counts[1]} links"
            raise UsageError(message, hint="AWS requires the same number (and speed) on both")
        found = {"per_device": counts[0]}
        if len(speeds) == 1 and "" not in speeds:
            return {"speed": speeds.pop(), **found}
        self.notes.append(f"{outpost}: the files do not say its links' speed; it is 10G here")
        return found

    def _told_apart(self, device: str, lag: Port) -> tuple[_Vif, _Vif]:
        """A LAG's service link and local gateway."""
        vifs = self._vifs(self.switches[device], lag)
        first = [vif for vif in vifs if vif.vlan in self.service_link]
        second = [vif for vif in vifs if vif.vlan not in self.service_link]
        if len(first) == len(second) == 1:
            return first[0], second[0]
        listed = self._listed(self.switches[device], vifs) or "none"
        raise UsageError(
            f"{device} {_shown(lag.name)}: one VLAN must be the service link's and one the local"
            f" gateway's; those with an address and a BGP neighbour are {listed}",
            hint="say which are the service link's: --service-link VLAN",
        )

    @staticmethod
    def _vifs(switch: Switch, lag: Port) -> list[_Vif]:
        found = []
        for port in switch.ports.values():
            if port.vlan is None or port.address is None or port.down:
                continue
            number, network = port.vlan.value, port.address.value.network
            tagged = lag.trunk is None or number in lag.trunk.value
            on_lag = port.parent == lag.name or (port.parent is None and tagged)
            if on_lag and network.prefixlen in POINT_TO_POINT:
                on_it = (n for n in switch.neighbors if switch.towards(n) is port)
                found += [_Vif(port, number, neighbor) for neighbor in on_it]
        return found

    def _purpose(
        self, outpost: str, purpose: str, vifs: list[tuple[int, Switch, _Vif]]
    ) -> dict[str, Any]:
        rows, asns = [], set()
        for number, switch, vif in vifs:
            assert vif.port.address is not None
            asn = switch.remote_asn(vif.neighbor)
            asns |= {asn.take()} if asn else set()
            length = vif.port.address.value.network.prefixlen
            local = f"{vif.neighbor.address}/{length}"
            peer = str(vif.port.address.value)
            addresses = {"local_address": local, "peer_address": peer}
            rows.append({"device": number, "vlan": vif.vlan, **addresses})
        if len(asns) > 1:
            said = " and ".join(map(str, sorted(asns)))
            raise UsageError(
                f"{outpost}: the neighbours of its {purpose.replace('_', ' ')} have AS {said}",
                hint="one Outpost has one for both networking devices: compare with AWS's order",
            )
        return ({"asn": asns.pop()} if asns else {}) | {"vifs": rows}

    def _slow(self, device: str, lag: Port, bond: str) -> None:
        """LACP's timers: fast is AWS's (facts: R1), slow every vendor's default."""
        said = [port.fast for port in (lag, *self._members(device, lag)) if port.fast]
        for fast in said:
            fast.line.used = True
        if not said:
            self._fault("lacp-slow", bond, f"{bond} does not ask for fast LACP timers")

    def _wrong(self, switch: Switch, lag: Port, bond: str, vif: _Vif) -> None:
        """A VLAN without its tag, or with too small an MTU."""
        place = f"{bond}.{vif.vlan}"
        if lag.native:
            lag.native.line.used = lag.native.line.used or lag.native.value == vif.vlan
            if lag.native.value == vif.vlan:
                what = f"VLAN {vif.vlan} is the native one of {bond}"
                self._fault("vlan-untagged", place, f"{what}: it has no tag there")
        sizes = [port.mtu.take() for port in (vif.port, lag) if port.mtu]
        if sizes and min(sizes) < ETHERNET_MTU:
            self._fault("mtu", place, f"{place} carries {min(sizes)} bytes", mtu=min(sizes))
        used(switch, lag)

    def _fault(self, kind: str, place: str, said: str, **values: Any) -> None:
        outpost = place.partition(":")[2].partition(".")[0]
        if len(outpost) > LONGEST_NAME:
            self.notes.append(f"{said}; no fault stands for it, the Outpost's name is too long")
            return
        self.faults.append({"kind": kind, "target": place, **values})
        self.notes.append(f"{said}: a fault of the topology stands for it")
