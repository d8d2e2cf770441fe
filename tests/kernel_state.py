"""The state of a testbed as far as its plan decides it: to compare one with another.

Numbers that differ from run to run are left out: counters, indexes, handles, ages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from testbed.plan.files import files_of
from testbed.testing import Testbed

State = dict[str, list[str]]
COUNTERS = re.compile(r"counter packets \d+ bytes \d+")
ELEMENTS = re.compile(r"elements = \{(.*?)\}", re.DOTALL)
AGES = re.compile(r"\d+(\.\d+)? s( ago)?")
COMMANDS = {
    "links": "ip -j -d link",
    "addresses": "ip -j address",
    "routes": "ip -j -4 route show table all",
    "routes6": "ip -j -6 route show table all",
    "rules": "ip -j rule",
    "rules6": "ip -j -6 rule",
    "neighbors": "ip -j neigh show nud permanent",
    "queues": "tc -j qdisc",
}
LINK = ("ifname", "mtu", "master", "address", "operstate", "link_type")
KINDS = (
    "id",
    "protocol",
    "table",
    "mode",
    "miimon",
    "min_links",
    "ad_lacp_rate",
    "remote",
    "local",
)
IN_FORCE = {"active", "scheduled"}
PROPAGATING = "routes that propagate in VPC"
# What is on the way in virtual time, or counts: no part of the state that a plan decides.
VOLATILE = {
    "resets",
    "handshake_age_s",
    "rx_bytes",
    "tx_bytes",
    "endpoint",
    "pid",
    "since",
    "age_s",
    "began",
}


def kernel(testbed: Testbed) -> State:
    """What the kernel holds of each node."""
    script = "; ".join(f"{command} || exit 1; echo" for command in COMMANDS.values())
    found: State = {}
    rulesets = testbed.client.observe()
    for node in testbed.plan.nodes:
        output = testbed[node.name].run(["sh", "-ec", script]).text
        texts = [line for line in output.replace("]\n", "]\x00").split("\x00") if line.strip()]
        for kind, text in zip(COMMANDS, texts, strict=True):
            rows = json.loads(text)
            found[f"{node.name} {kind}"] = sorted(_plain(kind, row) for row in rows if row)
        found[f"{node.name} rules of nftables"] = objects(rulesets[node.name]["nftables"])
    return found


def _plain(kind: str, row: dict[str, Any]) -> str:
    """A row of what iproute2 shows, without what differs from run to run."""
    if kind == "links":
        info = row.get("linkinfo", {})
        data = {key: value for key, value in info.get("info_data", {}).items() if key in KINDS}
        shown = {key: row.get(key) for key in LINK} | {"kind": info.get("info_kind"), **data}
        if shown["kind"] == "vrf":  # whose address is random
            del shown["address"]
        shown["flags"] = sorted(set(row["flags"]) & {"UP", "LOWER_UP", "NOARP", "SLAVE", "MASTER"})
    elif kind == "addresses":
        infos = row.get("addr_info", ())
        mine = sorted(f"{a['local']}/{a['prefixlen']}" for a in infos if not _is_own(a))
        shown = {"ifname": row["ifname"], "addresses": mine}
    elif kind in {"routes", "routes6"}:
        hops = row.get("nexthops") or [row]
        ways = sorted([hop.get("gateway", ""), hop.get("dev", "")] for hop in hops)
        names = ("type", "dst", "table", "protocol", "prefsrc")
        shown = {name: row.get(name) for name in names} | {"hops": ways}
    elif kind == "queues":
        shown = {key: value for key, value in row.items() if key not in {"handle", "refcnt"}}
        shown.get("options", {}).pop("seed", None)
    else:
        shown = row
    return json.dumps(shown, sort_keys=True)


def _is_own(address: dict[str, Any]) -> bool:
    """Whether the kernel has made it of the interface's MAC address."""
    return bool(address["scope"] == "link" and address["family"] == "inet6")


def objects(ruleset: str) -> list[str]:
    """The objects of a ruleset as nft lists it, in no order of them or of their elements."""
    found: list[str] = []
    table = ""
    text = COUNTERS.sub("counter", ruleset).replace(",\n", ", ")
    for block in re.split(r"\n(?=\t\w|\w|\})", text):
        body = block
        if block.startswith("table"):
            table, _, body = block.partition("\n")
        if match := ELEMENTS.search(body):
            elements = sorted(" ".join(entry.split()) for entry in match[1].split(","))
            body = body.replace(match[0], str(elements))
        if body.strip(" \t\n}"):
            found.append(f"{table} {body.strip()}")
    return sorted(found)


def files(testbed: Testbed) -> State:
    """The files of each node as they are, which its daemons read."""
    found: State = {}
    for node in testbed.plan.nodes:
        names = sorted(files_of(node))
        script = 'cd "$1"; shift; for name; do cat "$name"; printf "\\0"; done'
        words = ["sh", "-ec", script, "sh", node.directory, *names]
        texts = testbed[node.name].run(words).text.split("\0") if names else []
        found[f"{node.name} files"] = [f"{n}: {t}" for n, t in zip(names, texts, strict=False)]
    return found


def daemons(testbed: Testbed) -> State:
    """What routing daemons have made of their configurations."""
    found: State = {}
    for node in testbed.plan.nodes:
        names = {process.name for process in node.processes}
        if "bird" in names:
            (text,) = testbed.client.ask(node.name, "bird", ["show protocols"])
            rows = [line.split() for line in text.splitlines() if " " in line]
            found[f"{node.name} protocols"] = sorted(" ".join(row[:3]) for row in rows[1:])
        if "bgpd" in names:
            (text,) = testbed.client.ask(node.name, "bgpd", ["show running-config"])
            found[f"{node.name} running-config"] = _sections(text)
    return found


def _sections(text: str) -> list[str]:
    """FRR's configuration as a set of lines, each with the lines that it stands below."""
    lines: list[str] = []
    above: list[str] = []
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip())
        above = [*above[:depth], line.strip()]
        if line.strip() and line.strip() not in {"!", "exit", "end"}:
            lines.append(" / ".join(above))
    return sorted(lines)


def status(testbed: Testbed) -> State:
    """The state of everything, without ages, counts and process numbers.

    Of what is not in order only that is compared: how it is not, and why, depends on what was
    before. Of faults those count that are in force, or will be.
    """
    found: State = {}
    seen = testbed.status()
    connected = all(row["ok"] for row in seen["tunnels"])
    for subject, rows in seen.items():
        if subject in {"clock", "metrics", "name", "revision", "version"}:
            continue
        if isinstance(rows, list):
            there = [row for row in rows if subject != "faults" or row["state"] in IN_FORCE]
            if not connected:  # that session outlives its way: it has no hold time
                there = [row for row in there if PROPAGATING not in row["title"]]
            found[f"status {subject}"] = sorted(_still(row) for row in there)
    return found


def _still(row: dict[str, Any]) -> str:
    if not row.get("ok"):
        return f"{row['title']} is not in order"
    return AGES.sub("", json.dumps(_without_volatile(row), sort_keys=True))


def _without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_volatile(entry) for k, entry in value.items() if k not in VOLATILE}
    if isinstance(value, list):
        return [_without_volatile(entry) for entry in value]
    return value


def processes(testbed: Testbed) -> State:
    """The command lines of all processes that run in the testbed."""
    script = "for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $file && echo; done 2> /dev/null"
    output = testbed[testbed.plan.nodes[0].name].run(["sh", "-c", script], check=False).text
    lines = (line.strip() for line in output.splitlines())
    return {"processes": sorted(line for line in lines if line and "/proc/" not in line)}


def state(testbed: Testbed) -> State:
    """All of it."""
    found = kernel(testbed) | files(testbed) | daemons(testbed) | status(testbed)
    return found | processes(testbed)


def differences(seen: State, wanted: State) -> list[str]:
    """What one has and the other has not, a line each."""
    found: list[str] = []
    for key in sorted(seen.keys() | wanted.keys()):
        one, other = seen.get(key, []), wanted.get(key, [])
        found += [f"{key}: only live: {entry}" for entry in _without(one, other)]
        found += [f"{key}: only fresh: {entry}" for entry in _without(other, one)]
    return found


def _without(some: Iterable[str], others: Iterable[str]) -> list[str]:
    left = list(others)
    missing = []
    for entry in some:
        if entry in left:
            left.remove(entry)
        else:
            missing.append(entry)
    return missing
