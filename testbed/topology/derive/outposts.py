"""What is derived for Outposts: a module for racks, and one for servers."""

from __future__ import annotations

from ipaddress import IPv4Address

from testbed.topology.derive.rack import derive_rack
from testbed.topology.derive.server import derive_server
from testbed.topology.form_factors import RACKS
from testbed.topology.model import MAX_OUTPOSTS, Outpost, Site
from testbed.topology.numbers import Numbers
from testbed.topology.report import Report
from testbed.topology.schema import TopologyForm


def derive_outposts(
    form: TopologyForm, site: Site, resolver: IPv4Address, report: Report, numbers: Numbers
) -> dict[str, Outpost]:
    """Return the Outposts by name; `resolver` is the internet's."""
    asns = {device.name: device.asn for device in site.devices}
    claimed = numbers.claim_all("outpost", form.outposts, range(1, MAX_OUTPOSTS + 1))
    found: dict[str, Outpost] = {}
    for name, outpost in form.outposts.items():
        # those that there is no room for are refused by the rules
        index = claimed.get(name, MAX_OUTPOSTS + 1) - 1
        if outpost.form_factor in RACKS:
            found[name] = derive_rack(form, name, index, asns, report, numbers)
        else:
            found[name] = derive_server(form, name, index, site, resolver, numbers)
    return found
