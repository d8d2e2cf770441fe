"""Outposts servers: the service link's port, and that of local network interfaces.

The QSFP+ port's breakout cable ends in two switch ports of the customer's, 10 GbE each: leg 1 for
local network interfaces, leg 2 for the service link (facts: N1). The latter is a host with one
address, from DHCP or static, on an untagged port; it opens two WireGuard tunnels to the
Region, a primary and a secondary one (facts: N4, botocore), and nothing from outside may open
one. There is no LAG, no BGP with the customer and no local gateway.
"""

from __future__ import annotations

from ipaddress import IPv4Network

from testbed.lower import bgp, dhcp_client, names
from testbed.lower.builder import Draft, NodeDraft
from testbed.lower.rack import inner, management
from testbed.lower.rack.service_link import (
    KEEPALIVE_S,
    WIREGUARD_MTU,
    anchor_key,
    outpost_key,
    public_key,
)
from testbed.lower.server import ports
from testbed.lower.site.segments import PORT, resolv_conf_of
from testbed.plan.checks import AddressCheck, RouteCheck, TunnelCheck
from testbed.plan.model import RESOLV_CONF, Route, WireGuard, WireGuardPeer
from testbed.plan.roles import Role
from testbed.topology.model import INTERNAL, Anchor, Server, Topology

ANY = "0.0.0.0"  # noqa: S104 - the address that it has
FIREWALL = f"""\
table inet service_link {{
  chain input {{
    type filter hook input priority filter; policy accept;
    iifname != "{PORT}" accept
    ct state established,related accept
    icmp type echo-request accept
    counter drop comment "the server opens the service link, nothing from outside does"
  }}
}}
"""


def lower(draft: Draft, topology: Topology, server: Server) -> None:
    """Add a server's service link; its segment is there already."""
    title = f"{server.name} service link port"
    node = draft.router(names.service_link(server), Role.SERVICE_LINK, server.name, title)
    node.nftables = FIREWALL
    node.loopback(inner.overlay_endpoint(server))
    # Without a tunnel, a default route of the customer's must not take what belongs into it.
    node.routes.append(Route(str(INTERNAL), type="blackhole"))
    ports.plug_in(draft, topology, server.link.port, node, PORT, names.link_port_of(server))
    _address(draft, node, server)
    sessions = [
        _add_tunnel(draft, topology, server, node, index, anchor)
        for index, anchor in enumerate(topology.region.anchors)
    ]
    endpoint = inner.overlay_endpoint(server)
    instance = bgp.Instance(
        name="t_main",
        vrf=None,
        table=254,
        asn=inner.tunnel_asn(server),
        sessions=tuple(sessions),
        static=(str(IPv4Network(endpoint)),),
    )
    bgp.configure(draft, node, bgp.Router(str(endpoint), (instance,)))
    management.report(topology, server, node, ANY, str(topology.region.outposts_address))
    fabric = f"{inner.FABRIC_ENDPOINT}/32"
    draft.checks.append(RouteCheck(node.name, 254, fabric, f"{title}: through a tunnel"))


def _address(draft: Draft, node: NodeDraft, server: Server) -> None:
    """Give the port its address, and the server its gateway and name servers (facts: N4)."""
    link = server.link
    node.files[RESOLV_CONF] = resolv_conf_of(link.name_servers)
    if link.dhcp:
        title = f"{server.name} service link port: lease of {link.port.segment or 'nobody'}"
        dhcp_client.add(draft, node, PORT, link.address, dhcp_client.Routing(), title)
        return
    if link.address is not None:
        node.address(PORT, link.address)
        title = f"{server.name} service link port"
        draft.checks.append(AddressCheck(node.name, PORT, title, str(link.address.ip)))
    if link.gateway is not None:
        node.route("0.0.0.0/0", via=link.gateway, dev=PORT)


def _add_tunnel(
    draft: Draft, topology: Topology, server: Server, node: NodeDraft, index: int, anchor: Anchor
) -> bgp.Session:
    interface = f"wg{index + 1}"
    own, far = inner.tunnel_outpost(server, index), inner.tunnel_anchor(index)
    peer = WireGuardPeer(
        name=anchor.name,
        public_key=public_key(anchor_key(topology, None, anchor)),
        endpoint=f"{anchor.address}:{inner.SERVICE_LINK_PORT}",
        allowed_ips=(f"{far.ip}/32", f"{inner.FABRIC_ENDPOINT}/32"),
        keepalive_s=KEEPALIVE_S,
    )
    device = WireGuard(
        socket_node=node.name,
        private_key=outpost_key(server, index, wrong=server.wrong_key),
        listen_port=inner.SERVER_PORTS[index],
        peers=(peer,),
    )
    node.add(interface, device, mtu=WIREGUARD_MTU, addresses=(own,))
    title = f"{server.name} tunnel {index + 1} - {anchor.name}"
    draft.checks.append(TunnelCheck(node.name, interface, anchor.name, title))
    return bgp.Session(
        name=anchor.name,
        interface=interface,
        local=str(own.ip),
        neighbor=str(far.ip),
        remote_asn=topology.region.asn,
        title=f"{title} (inside the tunnel)",
        exports=bgp.only(IPv4Network(inner.overlay_endpoint(server))),
        imports=bgp.only(IPv4Network(inner.FABRIC_ENDPOINT)),
        bfd=bgp.Bfd(),
    )
