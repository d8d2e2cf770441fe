"""What the tags of sources stand for, in the docstrings of checks and wherever `facts:` stands.

docs/sources.md is made of this table: a tag that is used has an entry, and an entry is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

GUIDES = "https://docs.aws.amazon.com/outposts/latest"
WHITEPAPER = "https://docs.aws.amazon.com/whitepapers/latest/aws-outposts-high-availability-design"
BLOGS = "https://aws.amazon.com/blogs/compute"
SOURCES: dict[str, tuple[str, str]] = {
    "R1": ("Local network connectivity for Outposts racks", f"{GUIDES}/userguide/local-rack.html"),
    "R2": (
        "Site requirements for Outposts racks",
        f"{GUIDES}/userguide/outposts-requirements.html",
    ),
    "R2c": (
        "Site requirements, second generation, single rack",
        f"{GUIDES}/network-userguide/outposts-rack2ndgen-requirements-single-rack.html",
    ),
    "S1": ("Connectivity through service link", f"{GUIDES}/userguide/service-links.html"),
    "S2": (
        "Service link private connectivity",
        f"{GUIDES}/userguide/private-connectivity.html",
    ),
    "S4": ("Firewalls and the service link", f"{GUIDES}/userguide/firewalls-sl.html"),
    "T1": (
        "Rack network troubleshooting checklist",
        f"{GUIDES}/userguide/network-troubleshoot.html",
    ),
    "T2": (
        "Server network troubleshooting",
        f"{GUIDES}/server-userguide/network-troubleshoot.html",
    ),
    "L1": ("Local gateways", f"{GUIDES}/userguide/outposts-local-gateways.html"),
    "L2": ("Local gateway route table routes", f"{GUIDES}/userguide/manage-lgw-routes.html"),
    "L3": (
        "Multiple local gateway routing domains",
        f"{GUIDES}/network-userguide/routing-domains.html",
    ),
    "L4": ("Customer-owned IP address pools", f"{GUIDES}/userguide/coip-pools.html"),
    "M1": (
        "CloudWatch metrics for Outposts",
        f"{GUIDES}/userguide/outposts-cloudwatch-metrics.html",
    ),
    "M2": (
        "AWS Compute blog: new network metrics of racks (VIFs)",
        f"{BLOGS}/improving-network-observability-with-new-aws-outposts-racks-network-metrics/",
    ),
    "M3": (
        "AWS Compute blog: LAG metrics of racks",
        f"{BLOGS}/enhancing-network-observability-with-new-aws-outposts-racks-lag-metrics/",
    ),
    "M4": (
        "Monitoring local gateway connectivity",
        f"{GUIDES}/userguide/monitor-lgw-connectivity.html",
    ),
    "H1": (
        "High availability whitepaper: network attachment",
        f"{WHITEPAPER}/network-attachment.html",
    ),
    "H2": (
        "High availability whitepaper: anchor connectivity",
        f"{WHITEPAPER}/anchor-connectivity.html",
    ),
    "H3": (
        "High availability whitepaper: application/workload routing",
        f"{WHITEPAPER}/applicationworkload-routing.html",
    ),
    "H4": (
        "High availability whitepaper: thinking in terms of failure modes",
        f"{WHITEPAPER}/thinking-in-terms-of-failure-modes.html",
    ),
    "H5": (
        "High availability whitepaper: intra-VPC routing",
        f"{WHITEPAPER}/intra-vpc-routing.html",
    ),
    "H6": (
        "High availability whitepaper: inter-VPC routing",
        f"{WHITEPAPER}/inter-vpc-routing.html",
    ),
    "N4": (
        "Authorize the server: Outpost Configuration Tool",
        f"{GUIDES}/install-server/authorize-4.html",
    ),
    "W": ("How AWS Outposts works", f"{GUIDES}/userguide/how-outposts-works.html"),
    "P": (
        "AWS Prescriptive Guidance: networking at the edge",
        "https://docs.aws.amazon.com/prescriptive-guidance/latest/hybrid-cloud-best-practices/networking.html",
    ),
    "V": (
        "Amazon VPC user guide, as of 2023",
        "https://github.com/awsdocs/amazon-vpc-user-guide",
    ),
    "EC2": (
        "Amazon EC2 user guide, as of 2023",
        "https://github.com/awsdocs/amazon-ec2-user-guide",
    ),
    "EKS": (
        "Amazon EKS user guide: local clusters on Outposts",
        "https://github.com/awsdocs/amazon-eks-user-guide",
    ),
    "botocore": (
        "AWS's own models of its interfaces, botocore 1.44.5",
        "https://github.com/boto/botocore",
    ),
    "3P": (
        "third party: notes of AWS's talks on VPC",
        "https://l2dy.github.io/notes/Cloud/AWS/AWS-VPC",
    ),
}
CHECKLISTS = {
    "A": "Outpost networking device to customer device",
    "B": "Direct Connect public virtual interface",
    "C": "Direct Connect private virtual interface",
    "D": "ISP",
    "E": "two firewalls",
    "F": "metrics",
    "G": "Outposts server",
}
# The items of AWS's two troubleshooting checklists (T1; G: T2), numbered in their order.
ITEMS = {
    "A1": "ping the Outpost's address from the customer device",
    "A2": "LACP status",
    "A3": "interface status",
    "A4": "optical module",
    "A5": "fibre, and levels sent and received",
    "A6": "the customer's AS number",
    "A7": "the Outpost's AS number",
    "A8": "addresses of interface and peer",
    "A9": "routes advertised and received",
    "A10": "a session that flaps: TCP 179 and ephemeral ports not blocked",
    "A11": "debug logs of BGP and TCP",
    "A12": "logs of BGP",
    "A13": "packet capture",
    "A14": "trace from the customer device to the Outpost's address",
    "B1": "the service link's range is received by BGP",
    "B2": "the service link's VRF uses that range",
    "B3": "that VRF has AWS's public ranges or a default route",
    "B4": "the link of the connection is up",
    "B5": "BGP at the edge is up",
    "B6": "if it is down, ping AWS's peer and check the configuration",
    "B7": "the firewall passes TCP 1025-65535 to 443 and UDP to 443",
    "B8": "a stateful firewall passes what goes out to AWS's ranges",
    "B9": "a stateless one passes what comes in, too",
    "B10": "routing between a firewall's virtual routers",
    "B11": "address translation is not overloaded and has free ports",
    "B12": "address translation is right",
    "B13": "trace and capture from the edge to AWS's peer",
    "C1": "ping AWS's peer, and the state of BGP",
    "C2": "BGP of the private virtual interface is up",
    "C3": "the VPC's block is received and the service link's range advertised",
    "C4": "network ACLs of the endpoints' subnet",
    "C5": "the firewall passes TCP 1025-65535 and UDP 443 to the endpoints",
    "C6": "a stateless firewall passes what comes in, too",
    "C7": "less than 100 routes, or a default route",
    "C8": "trace and capture",
    "D1": "the link is up",
    "D2": "public servers can be reached",
    "D3": "BGP with the provider is established",
    "D4": "it does not flap",
    "D5": "the routes that are needed are received and advertised",
    "D6": "a static default route",
    "D8": "packet capture",
    "D9": "public addresses of the home Region can be reached",
    "D10": "the provider's VRF has the service link's range",
    "D11": "the default route leaks into the service link's VRF",
    "D12": "routing by source",
    "D13": "the firewall passes TCP 1025-65535 and UDP 443",
    "D14": "address translation has free ports",
    "D15": "address translation is right",
    "D16": "where packets are dropped: on premises, at the provider, nowhere",
    "E1": "recent changes of routing",
    "E2": "graphs of traffic",
    "E3": "split brain, and whether connection tables are synchronized",
    "E4": "links, or metrics of the interior routing or of BGP, that have changed",
    "E7": "a test of each path's failover",
    "F1": "the matrix of LAG, local gateway and service link metrics",
    "G1": "ConnectedStatus",
    "G12": "MTU 1500",
}
_TAG = re.compile(
    r"(?<![\w.-])(?:[RSTLMHN]\d[a-z]?|[A-G]\d{1,2}|[WPV]|EC2|EKS|botocore|3P)(?![\w-])"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a source: text as it is, or a tag with what it stands for and where that is."""

    text: str
    title: str = ""
    url: str = ""


def parts(source: str) -> Iterator[Part]:
    """Split a check's source into text and tags; nothing of it is lost."""
    end = 0
    for found in _TAG.finditer(source):
        if found.start() > end:
            yield Part(source[end : found.start()])
        yield meaning(found.group())
        end = found.end()
    if end < len(source):
        yield Part(source[end:])


def meaning(tag: str) -> Part:
    """What a tag stands for; without title where it is not known."""
    if tag in SOURCES:
        return Part(tag, *SOURCES[tag])
    if tag in ITEMS:
        title = f"AWS's checklist, {CHECKLISTS[tag[0]]}: {ITEMS[tag]}"
        return Part(tag, title, SOURCES["T2" if tag[0] == "G" else "T1"][1])
    return Part(tag)
