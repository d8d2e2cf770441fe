"""The customer's firewalls in the way of the service link, between devices and the Region.

What AWS asks for (facts: S4, R2): UDP 443 to 443 and TCP 1025-65535 to 443,
from the infrastructure subnets to the Region's public addresses. A stateful
firewall lets the answers back in and refuses what is begun outside; a
stateless one needs the mirrored rules. Addresses and ports may be translated.
"""

from __future__ import annotations

from testbed.lower import bgp, names, region
from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.site.tuning import matched
from testbed.plan.roles import SITE, Role
from testbed.topology.model import Device, Firewall, Topology, Uplink

EPHEMERAL = "1025-65535"
HIGH = "1024-65535"  # of servers

NAT = f"""\
table ip nat {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "{names.REGION_PORT}" masquerade random
  }}
}}
"""


def lower(draft: Draft, topology: Topology) -> None:
    """Add the firewalls, with their way to the Region; `attach` cables the devices."""
    devices = {device.name: device for device in topology.site.devices}
    for firewall in topology.site.firewalls:
        title = f"customer firewall {firewall.name} (AS {firewall.asn})"
        node = draft.router(firewall.name, Role.FIREWALL, SITE, title)
        node.nftables = firewall.ruleset or _ruleset(topology, firewall)
        node.own_ruleset = bool(firewall.ruleset)
        region.attach(draft, firewall.outside, node, names.REGION_PORT, None)
        own, far = firewall.outside.addresses
        outside = bgp.Session(
            name=names.REGION_PORT,
            interface=names.REGION_PORT,
            local=str(own.ip),
            neighbor=str(far.ip),
            remote_asn=topology.region.asn,
            title=f"{firewall.name} - Region edge",
            # what is translated is nothing that the outside has to know of
            exports=() if firewall.nat else None,
        )
        inside = (_inside(firewall, uplink, devices[uplink.device]) for uplink in firewall.inside)
        instance = bgp.Instance("t_main", None, 254, firewall.asn, (outside, *inside))
        bgp.configure(draft, node, bgp.Router(str(own.ip), (instance,)))


def _inside(firewall: Firewall, uplink: Uplink, device: Device) -> bgp.Session:
    session = bgp.Session(
        name=f"inside-{uplink.device}",
        interface=names.inside_port(uplink.device),
        local=str(uplink.addresses[1].ip),
        neighbor=str(uplink.addresses[0].ip),
        remote_asn=device.asn,
        title=f"{firewall.name} - {uplink.device}",
    )
    return matched(session, device.bgp.of(firewall.name, names.VRF_SERVICE_LINK))


def attach(
    draft: Draft, firewall: Firewall, uplink: Uplink, node: NodeDraft, interface: str
) -> bgp.Session:
    """Cable a device to its firewall. Returns the device's BGP session."""
    far = names.inside_port(uplink.device)
    draft.cable(
        (node, interface),
        (draft.nodes[firewall.name], far),
        addresses=uplink.addresses,
        masters=(names.VRF_SERVICE_LINK, None),
        mtu=uplink.quality.mtu,
    )
    return bgp.Session(
        name=interface,
        interface=interface,
        local=str(uplink.addresses[0].ip),
        neighbor=str(uplink.addresses[1].ip),
        remote_asn=firewall.asn,
        title=f"{uplink.device} - {firewall.name}",
    )


def _ruleset(topology: Topology, firewall: Firewall) -> str:
    inside = ", ".join(
        str(cidr)
        for rack in topology.racks.values()
        if not rack.private_anchors
        for cidr in rack.service_link.infrastructure_cidrs
    )
    out = f"ip saddr {{ {inside} }} ip daddr {topology.region.public_cidr}"
    back = f"ip saddr {topology.region.public_cidr} ip daddr {{ {inside} }}"
    rules = [
        f"{out} udp sport 443 udp dport 443 accept",
        f"{out} tcp sport {EPHEMERAL} tcp dport 443 accept",
    ]
    if firewall.filter == "stateful":
        rules.insert(0, "ct state established,related accept")
    else:
        rules += [
            f"{back} udp sport 443 udp dport 443 accept",
            f"{back} tcp sport 443 tcp dport {EPHEMERAL} accept",
        ]
    lines = "".join(f"    {rule}\n" for rule in rules if inside)
    lines += "".join(f"    {rule}\n" for rule in _for_servers(topology, firewall))
    return f"""\
# {firewall.filter}: what AWS asks to let through
table inet firewall {{
  chain forward {{
    type filter hook forward priority filter; policy drop;
{lines}    counter
  }}
}}
{NAT if firewall.nat else ""}"""


def _for_servers(topology: Topology, firewall: Firewall) -> list[str]:
    """What Outposts servers need, from wherever their segments are (facts: N3, T2)."""
    links = {server.link.port.segment for server in topology.servers.values()}
    inside = ", ".join(str(s.cidr) for s in topology.site.segments if s.name in links)
    if not inside:
        return []
    out = f"ip saddr {{ {inside} }} ip daddr {topology.region.public_cidr}"
    back = f"ip saddr {topology.region.public_cidr} ip daddr {{ {inside} }}"
    needed = ("udp", HIGH, "53"), ("udp", f"443, {HIGH}", "443"), ("tcp", HIGH, "443")
    rules = [f"{out} {p} sport {{ {near} }} {p} dport {far} accept" for p, near, far in needed]
    if firewall.filter == "stateful":
        return ["ct state established,related accept", *rules]
    return rules + [
        f"{back} {p} sport {far} {p} dport {{ {near} }} accept" for p, near, far in needed
    ]
