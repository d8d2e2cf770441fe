"""Rules across the objects of a topology, with AWS's own limits and error texts.

Each module checks one part. A rule says what is wrong with a value, which
rule that breaks and where the rule is from ("AWS: page"), and how to put it
right. Tags such as R1 or L3 in docstrings name the source of a fact.
"""

from testbed.topology.model import Topology
from testbed.topology.report import Report
from testbed.topology.rules import (
    addresses,
    bgp,
    direct_connect,
    dns,
    instances,
    internet,
    ipv6,
    lan,
    layer2,
    local_gateway,
    local_interfaces,
    overlap,
    processes,
    rack,
    real,
    security,
    server,
    site,
    transit,
    vpc,
    workloads,
)
from testbed.topology.rules.buildable import check_buildable
from testbed.topology.schema import TopologyForm

__all__ = ["check", "check_buildable"]

PARTS = {
    "dns": dns.check,
    "vpc": vpc.check,
    "internet": internet.check,
    "ipv6": ipv6.check,
    "instances": instances.check,
    "processes": processes.check,
    "security": security.check,
    "rack": rack.check,
    "local_gateway": local_gateway.check,
    "site": site.check,
    "bgp": bgp.check,
    "lan": lan.check,
    "server": server.check,
    "local_interfaces": local_interfaces.check,
    "layer2": layer2.check,
    "real": real.check,
    "transit": transit.check,
    "direct_connect": direct_connect.check,
    "addresses": addresses.check,
    "overlap": overlap.check,
    "workloads": workloads.check,
}


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Report everything in which the resolved topology contradicts a rule."""
    for report.rule, check_part in PARTS.items():
        check_part(form, topology, report)
