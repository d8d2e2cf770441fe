"""What must make the checks of the provider's links fail."""

from dataclasses import replace

from packets.mutations import (
    Mutation,
    in_file,
    in_protocol,
    interface,
    node,
    refuses_pings,
)
from testbed.plan.model import Node, Process, Route, Rule

SITE = "topologies/two-racks.yaml"
REGION = "protocol bgp region {\n"
TO_CND4 = "      if net = 198.51.100.0/24 then {\n        accept;\n      }\n"


def source_routed(entry: Node) -> Node:
    """A device whose policy rule sends what comes from the infrastructure subnet nowhere."""
    rule = Rule(10, 99, source="10.200.0.0/26")
    route = Route("0.0.0.0/0", type="unreachable", table=99)
    return replace(entry, rules=(*entry.rules, rule), routes=(*entry.routes, route))


def reset_again_and_again(entry: Node) -> Node:
    """The edge, which restarts one session every few seconds."""
    socket = "/run/node/region.edge/bird.ctl"
    script = f"while sleep 4; do birdc -s {socket} restart customer_cnd3; done"
    process = Process("flapping", ("/bin/sh", "-c", script))
    return replace(entry, processes=(*entry.processes, process))


MUTATIONS = {
    "isp.link": Mutation(SITE, "cnd1 region", change=interface("cnd1", "region", up=False)),
    "isp.peer-answers": Mutation(
        SITE, "cnd2 region", change=refuses_pings("cnd2", "100.65.0.3"), seen="no reply"
    ),
    "isp.established": Mutation(
        SITE, "cnd3 region", change=in_file("cnd3", "bird.conf", REGION, f"{REGION}  disabled;\n")
    ),
    "isp.stable": Mutation(
        SITE,
        "cnd3 - Region edge",
        change=node("region.edge", reset_again_and_again),
        seen="went down",
        settle_s=5.0,
    ),
    "isp.routes received": Mutation(
        SITE,
        "cnd1 region",
        change=in_file("region.edge", "bird.conf", TO_CND4, ""),
        seen="no prefixes",
    ),
    "isp.routes advertised": Mutation(
        SITE,
        "cnd1 region: 10.200.0.0/27",
        change=in_protocol(
            "cnd1", "region", "export all;", "export where net !~ [ 10.200.0.0/26+ ];"
        ),
    ),
    "isp.way-out": Mutation(
        SITE,
        "cnd1: 10.200.0.10 to anchor1",
        change=node("cnd1", source_routed),
    ),
}
