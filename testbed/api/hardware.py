"""What AWS delivers: an installation without what its customer has created in the Region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from testbed.topology.document import Document
from testbed.topology.editing.tree import Data

ORDERED = ("testbed", "name", "time", "seed", "region", "outposts", "site", "conformance")
REGIONS_OWN = ("name", "zones", "asn", "public_cidr", "anchors", "elastic_ip_cidr", "zone_delay")
BARE: Data = {"vif_group": False, "vpcs": [], "routes": []}


def hardware_alone(document: Document) -> Document:
    """Return a document with the hardware alone: Outposts, their local gateways' VIFs, the site.

    A VPC that a service link's private connectivity goes through was ordered with its Outpost.
    """
    data = {key: value for key, value in document.data.items() if key in ORDERED}
    data["region"] = {
        key: value
        for key, value in data["region"].items()
        if key in (*REGIONS_OWN, "internet", "metrics_period")
    }
    outposts = data.get("outposts") or {}
    data["outposts"] = {name: _bare(outpost or {}) for name, outpost in outposts.items()}
    links = [(outpost or {}).get("service_link") or {} for outpost in outposts.values()]
    if used := {link["vpc"] for link in links if "vpc" in link}:
        data["vpcs"] = {name: vpc for name, vpc in document.data["vpcs"].items() if name in used}
    return replace(document, data=data)


def _bare(outpost: Mapping[str, Any]) -> Data:
    """Return an Outpost whose local gateway has its VIFs and nothing else."""
    if str(outpost.get("form_factor", "rack")).startswith("server"):
        return dict(outpost)
    gateway = outpost.get("local_gateway") or {}
    return {**outpost, "local_gateway": {**_vifs(gateway), **BARE}}


def _vifs(gateway: Mapping[str, Any]) -> Data:
    return {"vifs": gateway["vifs"]} if "vifs" in gateway else {}
