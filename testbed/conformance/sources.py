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
    "R1b": (
        "Local network connectivity, second generation",
        f"{GUIDES}/network-userguide/outposts-rack2ndgen-local-rack.html",
    ),
    "R2": (
        "Site requirements for Outposts racks",
        f"{GUIDES}/userguide/outposts-requirements.html",
    ),
    "R2a": (
        "Network readiness for ACE racks",
        f"{GUIDES}/userguide/outposts-ace-requirements.html",
    ),
    "R2b": (
        "Site requirements, second generation",
        f"{GUIDES}/network-userguide/outposts-rack2ndgen-requirements.html",
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
    "N1": (
        "Local network connectivity for Outposts servers",
        f"{GUIDES}/server-userguide/local-server.html",
    ),
    "N2": (
        "Local network interfaces for Outposts servers",
        f"{GUIDES}/server-userguide/local-network-interface.html",
    ),
    "N3": (
        "Site requirements for Outposts servers",
        f"{GUIDES}/server-userguide/outposts-requirements.html",
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
# AWS's troubleshooting checklists (T1; G: T2); docs/conformance.md has their items.
CHECKLISTS = {
    "A": "Outpost networking device to customer device",
    "B": "Direct Connect public virtual interface",
    "C": "Direct Connect private virtual interface",
    "D": "ISP",
    "E": "two firewalls",
    "F": "metrics",
    "G": "Outposts server",
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
    if tag[0] in CHECKLISTS and tag[1:].isdigit():
        title = f"AWS's checklist {tag[0]}, {CHECKLISTS[tag[0]]}: item {tag[1:]}"
        return Part(tag, title, SOURCES["T2" if tag[0] == "G" else "T1"][1])
    return Part(tag)
