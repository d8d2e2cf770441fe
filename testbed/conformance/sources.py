"""What the tags of a check's source stand for: AWS's pages, and the items of its checklists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

GUIDES = "https://docs.aws.amazon.com/outposts/latest/"
WHITEPAPER = (
    "https://docs.aws.amazon.com/whitepapers/latest/aws-outposts-high-availability-design/"
    "aws-outposts-high-availability-design.html"
)
# The pages by tag, as docs/fidelity.md and the docstrings use them.
PAGES = {
    "R1": ("Local network connectivity for Outposts racks", "userguide/local-rack"),
    "R1b": (
        "Local network connectivity, second generation",
        "network-userguide/outposts-rack2ndgen-local-rack",
    ),
    "R2": ("Site requirements for Outposts racks", "userguide/outposts-requirements"),
    "R2b": (
        "Site requirements, second generation",
        "network-userguide/outposts-rack2ndgen-requirements",
    ),
    "S1": ("Connectivity through service link", "userguide/service-links"),
    "S1s": ("Service link of Outposts servers", "server-userguide/service-links"),
    "S2": ("Service link private connectivity", "userguide/private-connectivity"),
    "S3": ("Service link public connectivity", "userguide/sl-public-connectivity"),
    "S4": ("Firewalls and the service link", "userguide/firewalls-sl"),
    "T1": ("Rack network troubleshooting checklist", "userguide/network-troubleshoot"),
    "T2": ("Server network troubleshooting", "server-userguide/network-troubleshoot"),
    "L1": ("Local gateways", "userguide/outposts-local-gateways"),
    "L2": ("Local gateway routes", "userguide/manage-lgw-routes"),
    "L3": ("Local gateway routing domains", "userguide/routing-domains"),
    "L4": ("Customer-owned IP address pools", "userguide/coip-pools"),
    "L5": ("Local gateway route tables", "userguide/routing"),
    "M1": ("CloudWatch metrics for Outposts", "userguide/outposts-cloudwatch-metrics"),
    "M4": ("Monitoring local gateway connectivity", "userguide/monitor-lgw-connectivity"),
    "W": ("How AWS Outposts works", "userguide/how-outposts-works"),
}
# Without an address of their own: parts of a whitepaper, blogs, models.
TITLES = {
    "H": ("High availability whitepaper", WHITEPAPER),
    "M2": ("AWS Compute blog, 6 August 2025: VIF metrics", ""),
    "M3": ("AWS Compute blog, 30 April 2026: LAG metrics", ""),
    "P": ("AWS Prescriptive Guidance: hybrid cloud networking", ""),
    "V": ("Amazon VPC user guide", ""),
}
CHECKLISTS = {
    "A": "Outpost networking device to customer device",
    "B": "Direct Connect public virtual interface",
    "C": "Direct Connect private virtual interface",
    "D": "ISP",
    "E": "two firewalls",
    "F": "matrix of metrics",
    "G": "Outposts server",
}
_TAG = re.compile(r"\b(?:[RSTLMHN]\d[a-z]?|[A-G]\d{1,2}|[WPV])\b")


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
    if tag in PAGES:
        title, page = PAGES[tag]
        return Part(tag, title, f"{GUIDES}{page}.html")
    if tag in TITLES or tag[0] == "H":
        return Part(tag, *TITLES.get(tag, TITLES["H"]))
    if tag[0] in CHECKLISTS and tag[1:].isdigit():
        page = PAGES["T2" if tag[0] == "G" else "T1"][1]
        title = f"AWS's checklist {tag[0]}, {CHECKLISTS[tag[0]]}: item {tag[1:]}"
        return Part(tag, title, f"{GUIDES}{page}.html")
    return Part(tag)
