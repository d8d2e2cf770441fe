"""How the service link of a healthy site gets to the Region: links, firewalls, Direct Connect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sites.healthy import Draft

Data = dict[str, Any]

STATEFUL = """\
table inet own {{
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ip saddr {inside} udp sport 443 udp dport 443 accept
    ip saddr {inside} tcp sport 1025-65535 tcp dport 443 accept
  }}
}}
"""
STATELESS = """\
table ip own {{
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ip saddr {inside} udp sport 443 udp dport 443 accept
    ip daddr {inside} udp sport 443 udp dport 443 accept
    ip saddr {inside} tcp sport 1025-65535 tcp dport 443 accept
    ip daddr {inside} tcp sport 443 tcp dport 1025-65535 accept
    ip frag-off & 0x1fff != 0 ip daddr {inside} accept
    ip frag-off & 0x1fff != 0 ip saddr {inside} accept
    icmp type {{ destination-unreachable, time-exceeded }} accept
  }}
}}
"""
TRANSLATING = (
    STATEFUL
    + """\
table ip own-nat {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "region" masquerade random
  }}
}}
"""
)


def add_ways_to_the_region(draft: Draft) -> None:
    """Add them: each place has one or more ways, and none of them breaks the others."""
    delay = draft.chance.choice(("1ms", "5ms", "10ms"))
    draft.site["region_link"] = {"delay": delay}
    if draft.maybe(0.15):
        _private(draft)
        return
    linked: list[str] = []
    for number, group in enumerate(draft.groups):
        kind = draft.chance.choice(
            ("links", "one-firewall", "one-firewall", "two", "direct-connect")
        )
        if kind == "direct-connect":
            linked += _beside_direct_connect(draft, number, group)
            continue
        linked += group
        if kind == "one-firewall":
            _firewall(draft, group, either=True)
        elif kind == "two":
            _firewall_each(draft, group)
    draft.site["region_link"]["devices"] = linked


def _firewall(draft: Draft, devices: list[str], *, either: bool) -> None:
    """One firewall; `either`: whatever kind, as all that comes back comes by it."""
    kinds: tuple[Data, ...] = ({"filter": "stateless"}, {"nat": True}, {"ruleset": TRANSLATING})
    if either:
        kinds += ({"filter": "stateful"}, {"ruleset": STATEFUL}, {"ruleset": STATELESS})
    _add(draft, devices, draft.chance.choice(kinds))


def _add(draft: Draft, devices: list[str], kind: Data) -> None:
    walls = draft.site.setdefault("firewalls", {})
    name = f"fw{len(walls) + 1}"
    entry: Data = {"devices": list(devices), **kind}
    if "ruleset" in kind:
        cidrs = [
            rack["service_link"]["infrastructure_cidr"] for rack in draft.data["outposts"].values()
        ]
        draft.files[f"{name}.nft"] = kind["ruleset"].format(inside=f"{{ {', '.join(cidrs)} }}")
        entry["ruleset"] = f"{name}.nft"
    if draft.maybe(0.3):
        entry["asn"] = 65401 + len(walls)
    walls[name] = entry


def _firewall_each(draft: Draft, group: list[str]) -> None:
    """A firewall behind each device; without common state they have to do without, or translate."""
    if len(group) == 1:
        _firewall(draft, group, either=True)
        return
    kinds: tuple[Data, ...] = ({"filter": "stateless"}, {"nat": True}, {"ruleset": TRANSLATING})
    kind = draft.chance.choice((*kinds, {"ruleset": STATELESS}, {"filter": "stateful"}))
    if kind == {"filter": "stateful"}:  # behind one device only: the other one's way is shorter
        _add(draft, [draft.chance.choice(group)], kind)
        return
    for device in group:
        _add(draft, [device], kind)


def _beside_direct_connect(draft: Draft, number: int, group: list[str]) -> list[str]:
    """A public virtual interface at one device; the others have internet links, or none."""
    connection: Data = {"device": group[0], "public_vif": {"vlan": 301, "bfd": draft.maybe(0.5)}}
    draft.site.setdefault("direct_connect", {})[f"dx{number + 1}"] = connection
    if len(group) == 1 or draft.maybe(0.3):
        return []
    if draft.maybe(0.6):  # by the AS path it is the backup, both ways
        _firewall(draft, group[1:], either=True)
    return group[1:]


def _private(draft: Draft) -> None:
    """Private connectivity: a VPC for the anchors, Direct Connect from each device."""
    draft.site["region_link"]["devices"] = []
    draft.data["vpcs"]["link"] = {
        "cidr": "10.9.0.0/24",
        "subnets": {"anchors": {"cidr": "10.9.0.0/25"}},
        "virtual_private_gateway": {"asn": 64900},
        "route_tables": {"main": {"propagate": True}},
    }
    connections = draft.site.setdefault("direct_connect", {})
    for number, device in enumerate(draft.devices):
        vif = {"virtual_private_gateway": "link", "bfd": draft.maybe(0.5)}
        connections[f"dx{number + 1}"] = {"device": device, "private_vif": vif}
    for rack in draft.data["outposts"].values():
        rack["service_link"].update(connectivity="private", vpc="link", subnet="anchors")
