"""What the topology file may say and this version cannot build yet, checked all the same."""

from __future__ import annotations

from testbed.errors import Path
from testbed.topology.model import RACKS_ONLY
from testbed.topology.report import Report
from testbed.topology.rules.routes import specific
from testbed.topology.schema import OutpostForm, TopologyForm, VpcForm

BUILT = {
    "egress-only-internet-gateway",
    "instance",
    "internet-gateway",
    "local",
    "local-gateway",
    "nat-gateway",
    "network-interface",
    "transit-gateway",
    "virtual-private-gateway",
    "vpc-endpoint",  # refused by a rule of AWS's
    "vpc-peering-connection",
}


def check_buildable(form: TopologyForm, report: Report) -> None:
    """Report servers and route targets that are not built, and leave them out."""
    servers = {name for name, outpost in form.outposts.items() if outpost.form_factor == "server"}
    for name, outpost in form.outposts.items():
        path: Path = ("outposts", name)
        if name in servers:
            _server(path, outpost, report)
            report.spoil(path)
    _instances(form, servers, report)
    for name, vpc in form.vpcs.items():
        _routes(("vpcs", name), vpc, servers, report)


def _instances(form: TopologyForm, servers: set[str], report: Report) -> None:
    """Instances on servers are of what servers offer."""
    for name, instance in form.instances.items():
        vpc, _, subnet = instance.subnet.rpartition("/")
        vpcs = [form.vpcs[vpc]] if vpc in form.vpcs else [] if vpc else list(form.vpcs.values())
        places = {entry.subnets[subnet].outpost for entry in vpcs if subnet in entry.subnets}
        if places & servers:
            _refuse(("instances", name, "resource"), instance.resource, report)


def _refuse(path: Path, resource: str, report: Report) -> None:
    """Refuse a resource that only racks offer (AWS: what is AWS Outposts)."""
    offered = {str(name): what for name, what in RACKS_ONLY.items()}
    if resource in offered:
        message = (
            f"Outposts servers do not offer {offered[resource]}: they exist on racks only"
            " (AWS: what is AWS Outposts)"
        )
        report.add(path, message, "a server offers EC2, ECS, App Mesh, IoT Greengrass and subnets")


def _server(path: Path, outpost: OutpostForm, report: Report) -> None:
    """A server has no LAG, BGP session or local gateway (N1, L1)."""
    if outpost.local_gateway is not None:
        message = "a server has no local gateway; only racks have one (AWS: local gateways)"
        hint = "leave it out; a server's instances use local network interfaces"
        report.add((*path, "local_gateway"), message, hint, key=True)
    if "drained" in outpost.model_fields_set:
        message = "a server has no Outpost networking devices to drain (AWS: local-server)"
        report.add((*path, "drained"), message, "leave it out", key=True)
    if "uplinks" in outpost.model_fields_set:
        message = (
            "a server has one service link port and one LNI port, but no LAGs (AWS: local-server)"
        )
        report.add((*path, "uplinks"), message, "leave it out", key=True)
    for key in ("asn", "infrastructure_cidr", "vifs"):
        if key in outpost.service_link.model_fields_set:
            message = (
                f"a server's service link has no BGP and no VIFs, so no {key} (AWS: local-server)"
            )
            report.add((*path, "service_link", key), message, "leave it out", key=True)
    racks_only: list[tuple[Path, str]] = [
        (("storage", index), storage) for index, storage in enumerate(outpost.storage)
    ]
    if outpost.resolver:
        racks_only.append((("resolver",), "resolver"))
    for at, resource in racks_only:
        _refuse((*path, *at), resource, report)
    message = "Outposts servers cannot be built yet"
    report.add((*path, "form_factor"), message, "use form_factor: rack")


def _routes(path: Path, vpc: VpcForm, servers: set[str], report: Report) -> None:
    for name, table in vpc.route_tables.items():
        for index, route in enumerate(table.routes):
            at = (*path, "route_tables", name, "routes", index)
            specific(at, vpc.cidr, route, report)
            if route.target.kind not in BUILT:
                message = f"the target {route.target} cannot be built yet"
                report.add((*at, "target"), message, "use OUTPOST.local-gateway")
                report.spoil(report.original(at))
            elif route.target.kind == "local-gateway" and route.target.name in servers:
                message = "an Outposts server has no local gateway; only racks have one"
                report.add((*at, "target"), f"{message} (AWS: local gateways)")
