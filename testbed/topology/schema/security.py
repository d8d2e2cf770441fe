"""Security groups and network ACLs, as the topology file has them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from testbed.topology.addresses import AnyCidr, Peer
from testbed.topology.schema.base import Form
from testbed.topology.values import Ports, Protocol

PROTOCOL = "tcp, udp, icmp, icmpv6, all, or an IANA protocol number."
PORTS = "The destination port or a range such as 80-90 (tcp and udp). Default: all."
ICMP_TYPE = "The ICMP type (icmp and icmpv6). Default: all."
ICMP_CODE = "The ICMP code, with a type. Default: all."


class TrafficForm(Form):
    """What kind of packets a rule is about."""

    protocol: Protocol = Field(description=PROTOCOL)
    ports: Ports | None = Field(None, description=PORTS)
    icmp_type: int | None = Field(None, ge=0, le=255, description=ICMP_TYPE)
    icmp_code: int | None = Field(None, ge=0, le=255, description=ICMP_CODE)


class IngressRuleForm(TrafficForm):
    """An inbound rule of a security group; rules only allow."""

    source: Peer = Field(
        description="The source: an IPv4 or IPv6 CIDR block, a security group (VPC/GROUP of a"
        " peered VPC), a prefix list."
    )


class EgressRuleForm(TrafficForm):
    """An outbound rule of a security group; rules only allow."""

    destination: Peer = Field(
        description="The destination: an IPv4 or IPv6 CIDR block, a security group (VPC/GROUP of"
        " a peered VPC), a prefix list."
    )


class SecurityGroupForm(Form):
    """A security group: a stateful filter at each network interface that has it."""

    ingress: list[IngressRuleForm] | None = Field(
        None,
        description="Its inbound rules. Default: none; for `default`, everything from its members.",
    )
    egress: list[EgressRuleForm] | None = Field(
        None, description="Its outbound rules. Default: everything to everywhere."
    )


class NetworkAclEntryForm(TrafficForm):
    """A rule of a network ACL."""

    rule: int = Field(
        ge=1,
        le=32766,
        description="Its number; the rule with the lowest number is evaluated first.",
    )
    cidr: AnyCidr = Field(
        description="The source (inbound) or destination (outbound), IPv4 or IPv6."
    )
    action: Literal["allow", "deny"] = Field(description="allow or deny.")


class NetworkAclForm(Form):
    """A network ACL: a stateless filter at the boundary of each subnet that names it."""

    ingress: list[NetworkAclEntryForm] = Field(
        default=[], description="What may enter the subnet. Default: nothing."
    )
    egress: list[NetworkAclEntryForm] = Field(
        default=[], description="What may leave the subnet. Default: nothing."
    )
