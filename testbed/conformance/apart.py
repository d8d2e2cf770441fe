"""Probing for path MTUs so that the nodes that are looked at learn nothing from it.

A kernel keeps a path MTU that it hears of for ten minutes, for everything that it sends there:
what is probed with a packet that is too large would be changed by the probe.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from testbed.conformance.site import Site
from testbed.errors import HostError

MARK = 0x7E57BED
TABLES = 0x7E570000  # throw-away tables: this number and the copied one's place
LOCAL_TABLE = "local"
READY_S = 10.0


@contextmanager
def apart(site: Site, nodes: Iterable[str]) -> Iterator[int]:
    """Give nodes copies of their routes for what has a mark; the mark.

    What sockets with the mark learn goes with the copies at the end of the block.
    """
    with ExitStack() as stack:
        for node in dict.fromkeys(nodes):
            rules = json.loads(site.testbed[node].run(["ip", "-j", "-4", "rule", "show"]).text)
            copied = [rule for rule in rules if rule["table"] != LOCAL_TABLE]
            stack.callback(_batch, site, node, _removal(copied))
            _batch(site, node, _copies(site, node, copied))
        yield MARK


def _copies(site: Site, node: str, rules: Sequence[dict[str, Any]]) -> list[str]:
    """The commands that add a copy of each rule, and of the table that it names."""
    lines = []
    for place, rule in enumerate(rules, 1):
        table = str(TABLES + place)
        argv = ["ip", "-o", "-4", "route", "show", "table", str(rule["table"])]
        routes = site.testbed[node].run(argv, check=False).text.splitlines()
        # As the kernel's own, which are no event.
        lines += [f"route add table {table} proto kernel {_plain(route)}" for route in routes]
        lines.append(f"rule add {_rule(rule, place)} lookup {table}")
    return lines


def _plain(route: str) -> str:
    """A route as it is added: without what the kernel says of its state, and who has added it."""
    said = re.sub(r"\b(linkdown|dead|offload|pervasive|rt_offload|rt_trap|proto \S+)\b", "", route)
    return " ".join(said.replace("\\", " ").split())


def _rule(rule: dict[str, Any], place: int) -> str:
    """What a copied rule is for, beside the mark; it comes before all of the node's own."""
    words = [f"pref {place} fwmark {MARK}"]
    if rule.get("src", "all") != "all":
        words.append(f"from {rule['src']}/{rule.get('srclen', 32)}")
    if rule.get("dst", "all") != "all":
        words.append(f"to {rule['dst']}/{rule.get('dstlen', 32)}")
    words += [f"{key} {rule[key]}" for key in ("iif", "oif") if key in rule]
    return " ".join(words)


def _removal(rules: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    for place, rule in enumerate(rules, 1):
        table = TABLES + place
        lines += [f"rule del {_rule(rule, place)} lookup {table}", f"route flush table {table}"]
    return lines


def _batch(site: Site, node: str, lines: Iterable[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    site.testbed[node].run(["ip", "-4", "-force", "-batch", "-"], input=text.encode(), check=False)


@contextmanager
def unheard(site: Site, *nodes: str) -> Iterator[int]:
    """Have nodes not learn path MTUs from errors about packets with an IP number; the number.

    For packets that look like a socket's own, which would be told. HostError if that fails.
    """
    number = 1 + secrets.randbelow(0xFFFF)
    argv = ["testbed-unheard", str(number)]
    with ExitStack() as stack:
        for node in dict.fromkeys(nodes):
            process = site.testbed.client.popen(node, argv, until="ready")
            stack.enter_context(process)
            said = next(process.chunks(time.monotonic() + READY_S), b"")
            if b"ready" not in said:
                why = bytes(process.stderr).decode(errors="replace").strip()
                raise HostError(f"no rules can be added in {node}", hint=why or None)
            stack.callback(process.wait, READY_S)
            stack.callback(process.close_stdin)
        yield number
