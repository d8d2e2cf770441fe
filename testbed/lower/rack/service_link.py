"""The service link: the rack's end of the encrypted path to the Region.

Two of the rack's servers open one tunnel each, UDP 443 to 443, from their
addresses in the infrastructure CIDR, of a first-generation rack one in each half (H2, R1);
nothing from outside may open one (facts: S1, S4). Both tunnels end in one
router that balances over them and drops one that BFD finds silent. The VPC
overlays (`testbed.lower.vpc`) run inside. AWS does not name the technology;
WireGuard is what Outposts servers use (facts: N4, botocore).
"""

from __future__ import annotations

import base64
import hashlib
from ipaddress import IPv4Network

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from testbed.lower import bgp, names
from testbed.lower.builder import ETHERNET_MTU, Draft, NodeDraft
from testbed.lower.rack import TO_SERVICE_LINK, inner
from testbed.plan.checks import RouteCheck, TunnelCheck
from testbed.plan.model import Route, WireGuard, WireGuardPeer
from testbed.plan.roles import Role
from testbed.topology.model import INTERNAL, Anchor, Outpost, Rack, Server, Topology

KEEPALIVE_S = 5
WIREGUARD_MTU = ETHERNET_MTU - 60  # outer IPv4 and UDP headers, WireGuard's own 32 bytes

HOST_FIREWALL = """\
table inet service_link {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established,related accept
    icmp type echo-request accept
    counter
  }
}
"""


def private_key(*owner: str) -> str:
    """The tunnel key of `owner`, in base64: derived from the name, so that plans stay the same."""
    return base64.b64encode(hashlib.sha256("/".join(owner).encode()).digest()).decode()


def public_key(private: str) -> str:
    """The public half of a private key, in base64."""
    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private))
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def outpost_key(outpost: Outpost, index: int, *, wrong: bool = False) -> str:
    """The private key of the Outpost's end of tunnel `index`; a `wrong` one nobody knows."""
    return private_key(outpost.name, f"tunnel{index + 1}", *(("wrong",) if wrong else ()))


def known_key(outpost: Outpost, index: int) -> str:
    """The public key by which AWS knows the Outpost's end of tunnel `index`."""
    given = outpost.public_keys[index] if isinstance(outpost, Server) else None
    return given or public_key(outpost_key(outpost, index))


def anchor_key(topology: Topology, owner: Outpost | None, anchor: Anchor) -> str:
    """The private key of a service link anchor, a public one or `owner`'s own."""
    of = (owner.name,) if owner else ()
    return private_key(topology.region.name, *of, anchor.name)


def lower(draft: Draft, topology: Topology, outpost: Rack) -> None:
    """Add the service link's router, its servers and tunnels."""
    title = f"{outpost.name} service link"
    node = draft.router(names.service_link(outpost), Role.SERVICE_LINK, outpost.name, title)
    node.loopback(inner.overlay_endpoint(outpost))
    # Without a tunnel, a default route of the customer's must not take what belongs into it.
    node.routes.append(Route(str(INTERNAL), type="blackhole"))
    sessions = [_cable_ond(draft, outpost, node, device) for device in outpost.devices]
    for index, anchor in enumerate(topology.anchors(outpost)):
        _add_host(draft, outpost, node, index)
        sessions.append(_add_tunnel(draft, topology, outpost, node, index, anchor))
    announced = outpost.service_link.announced
    instance = bgp.Instance(
        name="t_main",
        vrf=None,
        table=254,
        asn=outpost.service_link.asn,
        sessions=tuple(sessions),
        static=tuple(map(str, (*announced, IPv4Network(inner.overlay_endpoint(outpost))))),
    )
    bgp.configure(draft, node, bgp.Router(str(inner.overlay_endpoint(outpost)), (instance,)))
    for anchor in topology.anchors(outpost):
        # by whatever the customer announces: the Region's range, a part of it, a default route
        to_anchor = f"{title}: to {anchor.name}"
        draft.checks.append(
            RouteCheck(node.name, 254, f"{anchor.address}/32", to_anchor, match="longest")
        )
    endpoint = f"{inner.FABRIC_ENDPOINT}/32"
    draft.checks.append(RouteCheck(node.name, 254, endpoint, f"{title}: through a tunnel"))


def _cable_ond(draft: Draft, outpost: Rack, node: NodeDraft, device: int) -> bgp.Session:
    interface = f"ond{device}"
    ond_end, own_end = inner.rack_link(draft.numbers, outpost, device, None)
    draft.cable(
        (draft.nodes[names.ond(outpost, device)], TO_SERVICE_LINK),
        (node, interface),
        addresses=(ond_end, own_end),
        masters=(names.VRF_SERVICE_LINK, None),
    )
    return bgp.Session(
        name=interface,
        interface=interface,
        local=str(own_end.ip),
        neighbor=str(ond_end.ip),
        remote_asn=outpost.service_link.asn,
        title=f"{outpost.name} service link - OND{device} (inside the rack)",
        exports=bgp.only(*outpost.service_link.announced),
    )


def _add_host(draft: Draft, outpost: Rack, node: NodeDraft, index: int) -> None:
    """The server that opens tunnel `index`; its namespace holds the tunnel's UDP socket."""
    address = inner.server_address(outpost, index)
    title = f"{outpost.name} server {index + 1} ({address})"
    host = draft.host(names.outpost_host(outpost, index), Role.SERVER, outpost.name, title)
    host.hardware = (names.rack(outpost.name, inner.rack_of_tunnel(outpost, index)),)
    host.loopback(address)
    host.nftables = HOST_FIREWALL
    interface = f"host{index + 1}"
    draft.cable((node, interface), (host, "eth0"))
    node.route(address, dev=interface)
    gateway = inner.overlay_endpoint(outpost)
    host.route(gateway, dev="eth0", source=address)
    host.route("0.0.0.0/0", via=gateway, dev="eth0", source=address)


def _add_tunnel(
    draft: Draft, topology: Topology, outpost: Rack, node: NodeDraft, index: int, anchor: Anchor
) -> bgp.Session:
    interface = f"wg{index + 1}"
    owner = outpost if outpost.private_anchors else None
    own = inner.tunnel_outpost(outpost, index)
    far = inner.tunnel_anchor(index)
    peer = WireGuardPeer(
        name=anchor.name,
        public_key=public_key(anchor_key(topology, owner, anchor)),
        endpoint=f"{anchor.address}:{inner.SERVICE_LINK_PORT}",
        allowed_ips=(f"{far.ip}/32", f"{inner.FABRIC_ENDPOINT}/32"),
        keepalive_s=KEEPALIVE_S,
    )
    device = WireGuard(
        socket_node=names.outpost_host(outpost, index),
        private_key=outpost_key(outpost, index),
        listen_port=inner.SERVICE_LINK_PORT,
        peers=(peer,),
    )
    node.add(interface, device, mtu=WIREGUARD_MTU, addresses=(own,))
    title = f"{outpost.name} tunnel {index + 1} - {anchor.name}"
    draft.checks.append(TunnelCheck(node.name, interface, anchor.name, title))
    return bgp.Session(
        name=anchor.name,
        interface=interface,
        local=str(own.ip),
        neighbor=str(far.ip),
        remote_asn=topology.region.asn,
        title=f"{title} (inside the tunnel)",
        exports=bgp.only(IPv4Network(inner.overlay_endpoint(outpost))),
        imports=bgp.only(IPv4Network(inner.FABRIC_ENDPOINT)),
        bfd=bgp.Bfd(),
    )
