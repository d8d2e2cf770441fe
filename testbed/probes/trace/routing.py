"""Which rule and which route of a namespace decided where a packet went.

The kernel says what it decided, not by which rule: that is found again in
its own rules and routes, and taken only where it agrees with what it said.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

LOCAL, MAIN = 255, 254
MARTIAN = "martian"
"""The kernel takes no packet with such a source: an own address, or none that a host can have."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The routing decision for a packet.

    `type` is the route's ("unicast", "local", "blackhole", …), "no route",
    "reverse path", "martian", or "unknown" where the kernel could not say.
    `table` and `rule` (its priority and conditions, as ip-rule(8) writes them)
    are None where nothing matched.
    """

    type: str
    destination: str | None = None
    table: int | None = None
    via: str | None = None
    dev: str | None = None
    protocol: str | None = None
    rule: str | None = None

    @property
    def leads(self) -> bool:
        """Whether it leads to another interface."""
        return self.type == "unicast"

    def to_json(self) -> dict[str, Any]:
        """For `testbed trace --json`."""
        return {
            "type": self.type,
            "destination": self.destination,
            "table": self.table,
            "via": self.via,
            "dev": self.dev,
            "protocol": self.protocol,
            "rule": self.rule,
        }


def decide(
    node: dict[str, Any], answer: dict[str, Any], vrf_table: int | None, out: str | None
) -> Decision:
    """The decision for one of the questions in the record of a node.

    `vrf_table` is that of the VRF which the packet came in by. Of several
    paths the one by which it left, `out`, is named.
    """
    route, refusal = answer.get("route"), answer.get("refusal")
    if route is None and refusal is None:
        return Decision("unknown")
    ways = [_found(node, answer, vrf_table, dead=dead) for dead in (True, False)]
    for way in ways:
        if way is not None and way[1] is not None and _agrees(way[1], route):
            return _decision(route or way[1], way[0], out)
    if route is not None:
        return _decision(route, None, out)
    rule = next((way[0] for way in ways if way is not None and way[1] is None), None)
    if rule is None and refusal == "blackhole":
        return Decision(MARTIAN)
    return Decision(str(refusal), rule=rule)


def _agrees(found: dict[str, Any], route: dict[str, Any] | None) -> bool:
    """Whether the kernel decided by the route that was found, or refused by it."""
    return found["type"] not in {"unicast", "local"} if route is None else _same(found, route)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(
        one["type"] == other["type"]
        and ip_network(one["destination"]) == ip_network(other["destination"])
        and (one["table"] == other["table"] or one["type"] == "local")
    )


def _decision(route: dict[str, Any], rule: str | None, out: str | None) -> Decision:
    hops = route["hops"]
    hop = next((h for h in hops if h["dev"] == out), hops[0] if hops else {})
    leads = route["type"] == "unicast"
    return Decision(
        type=route["type"],
        destination=route["destination"],
        table=LOCAL if route["type"] == "local" else route["table"],
        via=hop.get("via") if leads else None,
        dev=hop.get("dev") if leads else None,
        protocol=route["protocol"],
        rule=rule,
    )


def _found(
    node: dict[str, Any], question: dict[str, Any], vrf_table: int | None, *, dead: bool
) -> tuple[str, dict[str, Any] | None] | None:
    """The first rule that decides, and its route: None where the rule itself refuses.

    None where no rule does. Where `dead` is false, routes over links without
    carrier do not count, as some nodes are configured.
    """
    routes = node["routes"].get(question["destination"], ())
    version = 6 if ":" in question["destination"] else 4
    for rule in node["rules"]:
        if _version(rule) != version:
            continue
        if _matches(rule, question, vrf_table) == rule["inverted"]:
            continue
        if rule["action"] in {"blackhole", "unreachable", "prohibit"}:
            return rule_text(rule), None
        table = vrf_table if rule["l3mdev"] else rule["table"]
        inside = [r for r in routes if r["table"] == table and (dead or _is_alive(r))]
        best = max(inside, key=lambda r: (_length(r), -r["metric"]), default=None)
        if best is None or best["type"] == "throw":
            continue
        return rule_text(rule), best
    return None


def _version(rule: dict[str, Any]) -> int:
    return 6 if rule.get("family") == socket.AF_INET6 else 4


def _is_alive(route: dict[str, Any]) -> bool:
    return not route["hops"] or any(hop["alive"] for hop in route["hops"])


def _length(route: dict[str, Any]) -> int:
    return ip_network(route["destination"]).prefixlen


def _matches(rule: dict[str, Any], question: dict[str, Any], vrf_table: int | None) -> bool:
    if rule["l3mdev"] and vrf_table is None:
        return False
    iif = question["iif"] or "lo"
    checks = (
        rule["iif"] is None or rule["iif"] == iif,
        rule["oif"] is None,
        _inside(question["source"], rule["source"]),
        _inside(question["destination"], rule["destination"]),
        rule["mark"] is None or question["mark"] & rule["mark"][1] == rule["mark"][0],
    )
    return all(checks)


def _inside(address: str, prefix: str | None) -> bool:
    return prefix is None or ip_address(address) in ip_network(prefix)


def rule_text(rule: dict[str, Any]) -> str:
    """A rule as ip-rule(8) writes it, with its priority first."""
    words = [f"{rule['priority']}:"]
    words += ["not"] if rule["inverted"] else []
    words.append(f"from {rule['source'] or 'all'}")
    words += [f"to {rule['destination']}"] if rule["destination"] else []
    words += [f"fwmark {rule['mark'][0]:#x}"] if rule["mark"] else []
    words += [f"iif {rule['iif']}"] if rule["iif"] else []
    words += ["l3mdev"] if rule["l3mdev"] else []
    return " ".join(words)
