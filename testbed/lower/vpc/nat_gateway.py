"""A NAT gateway: many private addresses behind its own, with port translation.

One interface in a subnet of the Region, whose route table leads on, to the
internet gateway as a rule. TCP, UDP and ICMP only, source ports 1024 to
65535; it answers nobody itself and nobody outside can open a connection
through it (AWS: NAT gateway basics).
"""

from __future__ import annotations

from testbed.lower import names
from testbed.lower.builder import Draft, NodeDraft
from testbed.plan.roles import REGION, Role
from testbed.topology.model import NetworkInterface

RULESET = """\
# {title}
table ip nat_gateway {{
  chain outward {{
    type nat hook postrouting priority srcnat; policy accept;
    meta l4proto {{ tcp, udp }} snat to {address}:1024-65535
    meta l4proto icmp snat to {address}
  }}
  chain fragments {{
    type filter hook prerouting priority -450; policy accept;
    ip frag-off & 0x3fff != 0 meta l4proto != udp counter drop \
comment "a NAT gateway passes fragments of UDP only"
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ct state invalid counter drop \
comment "the NAT gateway has no translation for it: its connection did not begin there"
    meta l4proto {{ tcp, udp, icmp }} accept
    counter drop comment "a NAT gateway translates TCP, UDP and ICMP only"
  }}
  chain input {{
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    counter drop comment "nothing from outside opens a connection through a NAT gateway"
  }}
}}
"""


def add_node(draft: Draft, interface: NetworkInterface) -> NodeDraft:
    """Add the node of the NAT gateway that a network interface belongs to."""
    assert interface.requester is not None
    title = f"NAT gateway {interface.requester.name} ({interface.address})"
    node = draft.router(names.nat_gateway(interface.name), Role.NAT_GATEWAY, REGION, title)
    # in and out by one interface is what it is for
    node.sysctls |= {
        "net/ipv4/conf/all/send_redirects": "0",
        "net/ipv4/conf/default/send_redirects": "0",
        # sequence numbers do not matter, but that it has seen the connection begin
        "net/netfilter/nf_conntrack_tcp_be_liberal": "1",
        "net/netfilter/nf_conntrack_tcp_loose": "0",
    }
    node.nftables = RULESET.format(title=title, address=interface.address)
    return node
