"""Rules across the objects of a topology, with AWS's own limits and error texts.

Each module checks one part. A rule says what is wrong with a value, which
rule that breaks and where the rule is from ("AWS: page"), and how to put it
right. Tags such as R1 or L3 in docstrings name the source of a fact.
"""

from testbed.topology.file.report import Report
from testbed.topology.model import Topology
from testbed.topology.rules import (
    direct_connect,
    dns,
    instances,
    internet,
    ipv6,
    local_gateway,
    overlap,
    rack,
    real,
    security,
    site,
    transit,
    vpc,
)
from testbed.topology.rules.buildable import check_buildable
from testbed.topology.schema import TopologyForm

__all__ = ["check", "check_buildable"]


def check(form: TopologyForm, topology: Topology, report: Report) -> None:
    """Report everything in which the resolved topology contradicts a rule."""
    dns.check(topology, report)
    vpc.check(form, topology, report)
    internet.check(form, topology, report)
    ipv6.check(form, topology, report)
    instances.check(form, topology, report)
    security.check(form, topology, report)
    rack.check(form, topology, report)
    local_gateway.check(form, topology, report)
    site.check(form, topology, report)
    real.check(topology, report)
    transit.check(topology, report)
    direct_connect.check(form, topology, report)
    overlap.check(form, topology, report)
