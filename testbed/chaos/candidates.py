"""What may be broken in a site, and which suites must then notice it.

Nothing here touches the nodes that send or answer the constant traffic: with them the
tool itself would be blind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from testbed.conformance import rack_subjects, subjects
from testbed.conformance.rack_subjects import LagSubject, VifSubject
from testbed.errors import UsageError
from testbed.faults.catalog import compose, make
from testbed.faults.values import Value
from testbed.plan.model import Fault, Plan, Veth
from testbed.topology.model import Topology

EDGE = "region.edge"
WRONG_VID = 3999  # above all that is used in the topologies; Kind refuses it where it is used
SMALL_MTU = 1400
# How often a kind is chosen. What real sites see most often comes most often.
WEIGHTS = {
    "link-down": 4,
    "lag-member-missing": 2,
    "bgp-blocked": 2,
    "bgp-reset": 2,
    "service-link-cut": 2,
    "node-stopped": 2,
    "vlan-wrong": 2,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A fault that may be injected.

    `keys` are the objects that a failure may be blamed on, `suites` those of which at
    least one must fail while it is in force; without any it need not be noticed, as a
    drained device, which loses nothing.
    """

    kind: str
    target: str
    keys: frozenset[str]
    suites: tuple[str, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)

    def __str__(self) -> str:
        values = "".join(f" --{name} {value}" for name, value in self.values.items())
        return f"{self.kind} {self.target}{values}"

    def fault(self, name: str = "") -> Fault:
        """The fault, with its defaults."""
        return make(self.kind, self.target, self.values, name=name)

    def to_json(self) -> dict[str, Any]:
        """As `testbed chaos --json` prints it."""
        values = dict(self.values)
        return {
            "kind": self.kind,
            "target": self.target,
            "values": values,
            "suites": [*self.suites],
        }


def candidates(plan: Plan, topology: Topology) -> list[Candidate]:
    """All that can be done to this plan, in a fixed order."""
    found = (*_lags(topology), *_vifs(topology), *_outposts(topology), *_devices(plan, topology))
    return [candidate for candidate in found if possible(plan, [candidate])]


def possible(plan: Plan, chosen: Iterable[Candidate]) -> bool:
    """Whether these faults can be in force together, and change anything."""
    faults = [one.fault(f"chaos-{number}") for number, one in enumerate(chosen, start=1)]
    try:
        return compose(plan, faults) != plan
    except UsageError:
        return False


def _keys(*found: LagSubject | VifSubject) -> frozenset[str]:
    """What a fault of these may be blamed on: not the whole Outpost, which has others."""
    lags = [each.on if isinstance(each, VifSubject) else each for each in found]
    own = frozenset().union(*(each.keys for each in found))
    return own - {lag.outpost.name for lag in lags}


def _lags(topology: Topology) -> Iterator[Candidate]:
    for lag in rack_subjects.lags(topology):
        keys = _keys(lag)
        bond = f"{lag.device}:{lag.device_bond}"
        for inside, outside in lag.members:
            yield Candidate("link-down", f"{lag.device}:{outside}", keys, ("lag",))
            yield Candidate("link-down", f"{lag.ond}:{inside}", keys, ("lag",))
            yield Candidate("lag-member-missing", f"{lag.device}:{outside}", keys, ("lag",))
            yield Candidate("fibre-one-way", f"{lag.device}:{outside}", keys, ("lag",))
        yield Candidate("lacp-slow", bond, keys, ("lag",))
        yield Candidate("lacp-silent", bond, keys, ("lag",))
        yield Candidate("vlans-swapped", bond, keys, ("vlan",))
        yield Candidate("mtu", bond, keys, ("vlan",), {"mtu": SMALL_MTU})
        yield Candidate("impair", bond, keys, (), {"delay": 20.0, "jitter": 5.0})


def _vifs(topology: Topology) -> Iterator[Candidate]:
    for vif in rack_subjects.vifs(topology):
        target, keys = f"{vif.on.device}:{vif.device_interface}", _keys(vif)
        yield Candidate("vlan-removed", target, keys, ("vlan",))
        yield Candidate("vlan-wrong", target, keys, ("vlan",), {"vid": WRONG_VID})
        yield Candidate("bgp-blocked", target, keys, ("bgp",))
        yield Candidate("vlan-untagged", target, keys, ("vlan",))
        yield Candidate("bgp-wrong-asn", target, keys, ("bgp",))
        yield Candidate("bgp-md5", target, keys, ("bgp",))
        yield Candidate("route-withdrawn", target, keys, ("bgp", "local-gateway"))
        yield Candidate("bgp-reset", target, keys)


def _outposts(topology: Topology) -> Iterator[Candidate]:
    for outpost in rack_subjects.outposts(topology):
        name, keys = str(outpost), outpost.keys | {str(outpost)}
        tunnels = [t for t in rack_subjects.tunnels(topology) if str(t.outpost.name) == name]
        keys |= frozenset().union(*(tunnel.keys for tunnel in tunnels))
        yield Candidate("service-link-cut", name, keys, ("service-link",))
        for tunnel in tunnels:
            values: dict[str, Value] = {"tunnel": tunnel.index + 1}
            yield Candidate("service-link-cut", name, keys, ("service-link",), values)
        yield Candidate("service-link-slow", name, keys, ("service-link",), {"delay": 150.0})
        yield Candidate("region-api-down", name, keys, ("service-link",))


def _devices(plan: Plan, topology: Topology) -> Iterator[Candidate]:
    lags = rack_subjects.lags(topology)
    for device in subjects.devices(topology):
        own = _keys(*(lag for lag in lags if lag.device == device.name))
        yield Candidate("node-stopped", device.name, own, ("lag",))
        yield Candidate("device-drained", device.name, own)
        yield Candidate("firewall", device.name, own, ("vlan",), {"protocol": "icmp"})
        for interface in plan.node(device.name).interfaces:
            link = interface.device
            if isinstance(link, Veth) and link.peer_node == EDGE:
                target = f"{device.name}:{interface.name}"
                keys = frozenset({device.name})
                yield Candidate("link-down", target, keys, ("isp",))
                yield Candidate("bgp-blocked", target, keys, ("isp",))
    for firewall in subjects.firewalls(topology):
        keys = frozenset({firewall.name})
        yield Candidate("nat-exhausted", firewall.name, keys, ("firewalls", "service-link"))
