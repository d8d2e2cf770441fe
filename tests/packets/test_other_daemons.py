"""ONDs against customer devices that run neither BIRD nor FRR: GoBGP and ExaBGP, from Debian."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest
from observing import bgp_paths

from testbed.plan.model import Interface, Node, Plan, Process
from testbed.testing import Testbed

OWN, OND, PORT = "198.18.0.1", "198.18.0.0", "op.1001"
REGION, HALVES = "198.51.100.0/24", {"10.200.0.0/27": [64512], "10.200.0.32/27": [64512] * 4}
DIRECTORY = "/run/node/cnd1"
GOBGP = f"""\
[global.config]
as = 65000
router-id = "{OWN}"
port = -1
[[neighbors]]
[neighbors.config]
neighbor-address = "{OND}"
peer-as = 64512
[neighbors.timers.config]
connect-retry = 5
hold-time = 90
[neighbors.transport.config]
local-address = "{OWN}"
"""
EXABGP = f"""\
process updates {{
    run /bin/sh {DIRECTORY}/keep;
    encoder json;
}}
neighbor {OND} {{
    router-id {OWN};
    local-address {OWN};
    local-as 65000;
    peer-as 64512;
    family {{ ipv4 unicast; }}
    static {{ route {REGION} next-hop self; }}
    api {{ processes [ updates ]; receive {{ parsed; update; }} }}
}}
"""
# It holds its output open: ExaBGP takes an end of that for its own.
KEEP = f'while read -r line; do echo "$line"; done 3>&1 >{DIRECTORY}/updates\n'
EXABGP_ENV = {
    "exabgp_daemon_user": "root",
    "exabgp_daemon_drop": "false",
    "exabgp_api_cli": "false",
    "exabgp_log_destination": "stdout",
}
pytestmark = [pytest.mark.packets, pytest.mark.topology("topologies/first.yaml")]


def running(plan: Plan, process: Process, text: str) -> Plan:
    """The plan in which `cnd1` has one BGP daemon for its service link, outside of any VRF."""

    def port(interface: Interface) -> Interface:
        return replace(interface, master=None) if interface.name == PORT else interface

    def device(node: Node) -> Node:
        if node.name != "cnd1":
            return node
        return replace(
            node,
            router=None,
            files={"daemon.conf": text, "keep": KEEP},
            processes=(process,),
            interfaces=tuple(map(port, node.interfaces)),
        )

    return replace(plan, nodes=tuple(map(device, plan.nodes)))


def learned_by_gobgp(testbed: Testbed) -> dict[str, list[int]]:
    """The AS paths of what GoBGP has from the OND."""
    command = ["gobgp", "-j", "neighbor", OND, "adj-in"]
    found = json.loads(testbed["cnd1"].run(command).text or "{}")
    rows = (row for rows in found.values() for row in rows) if isinstance(found, dict) else found
    paths = {}
    for row in rows:
        [path] = [attr for attr in row["attrs"] if attr["type"] == 2]
        paths[row["nlri"]["prefix"]] = [n for part in path["as_paths"] for n in part["asns"]]
    return paths


def learned_by_exabgp(testbed: Testbed) -> dict[str, list[int]]:
    """The AS paths of what ExaBGP has from the OND, by the JSON that it writes."""
    paths = {}
    complete, _, _ = testbed["cnd1"].run(["cat", f"{DIRECTORY}/updates"]).text.rpartition("\n")
    for line in complete.splitlines():
        update = json.loads(line).get("neighbor", {}).get("message", {}).get("update", {})
        for announced in update.get("announce", {}).get("ipv4 unicast", {}).values():
            for route in announced:
                paths[route["nlri"]] = update["attribute"]["as-path"]
    return paths


@pytest.mark.parametrize("daemon", ["gobgp", "exabgp"])
def test_an_ond_and_another_daemon(testbed: Testbed, daemon: str) -> None:
    """A session comes up, and each has what the other one announces, with its AS path."""
    if shutil.which("gobgpd" if daemon == "gobgp" else "exabgp", path="/usr/bin:/usr/sbin") is None:
        pytest.skip(f"{daemon} is not installed")
    learned: Callable[[Testbed], dict[str, list[int]]] = learned_by_gobgp
    argv: tuple[str, ...] = ("/usr/bin/gobgpd", "-f", f"{DIRECTORY}/daemon.conf")
    argv += ("--api-hosts", "127.0.0.1:50051", "--pprof-disable")
    process, text = Process("gobgpd", argv, ("daemon.conf",)), GOBGP
    if daemon == "exabgp":
        learned, text = learned_by_exabgp, EXABGP
        argv = ("/usr/sbin/exabgp", f"{DIRECTORY}/daemon.conf")
        process = Process("exabgp", argv, ("daemon.conf",), env=EXABGP_ENV)
    testbed.apply(running(testbed.plan, process, text), wait=False)
    testbed.eventually(lambda: learned(testbed) == HALVES, 60.0)
    if daemon == "gobgp":
        testbed["cnd1"].run(["gobgp", "global", "rib", "add", REGION])
    path = {REGION: [65000]}
    testbed.eventually(lambda: bgp_paths(testbed, "op.ond1", "customer_service_link") == path, 30.0)
