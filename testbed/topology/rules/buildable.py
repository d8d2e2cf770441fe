"""What the topology file may say and this version cannot build yet, checked all the same."""

from __future__ import annotations

from testbed.errors import Path
from testbed.topology.form_factors import SERVERS
from testbed.topology.report import Report
from testbed.topology.rules.routes import specific
from testbed.topology.schema import TopologyForm, VpcForm

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
    """Report route targets that are not built, and leave them out."""
    servers = {name for name, outpost in form.outposts.items() if outpost.form_factor in SERVERS}
    for name, vpc in form.vpcs.items():
        _routes(("vpcs", name), vpc, servers, report)


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
                report.spoil(report.original(at))
