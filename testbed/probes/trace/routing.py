"""Which rule and which route of a namespace decided where a packet went.

The kernel says what it decided, not by which rule: that is found again in
its own rules and routes, and taken only where it agrees with what it said.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

LOCAL, MAIN = 255, 254
REFUSALS = {
    "blackhole": "a blackhole route",
    "unreachable": "an unreachable route",
    "prohibit": "a prohibit route",
    "no route": "no route",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """The routing decision for a packet.

    `type` is the route's ("unicast", "local", "blackhole", …), "no route", or
    "unknown" where the kernel could not say. `table` and `rule` (its priority
    and conditions, as ip-rule(8) writes them) are None where nothing matched.
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
    found = _found(node, answer, vrf_table)
    route = answer.get("route")
    if route is None:
        refusal = answer.get("refusal")
        if refusal is None:
            return Decision("unknown")
        if found is None or found[1] is None or found[1]["type"] == "unicast":
            return Decision(refusal, rule=found[0] if found else None)
        return _decision(found[1], found[0], out)
    agreed = found is not None and found[1] is not None and _same(found[1], route)
    rule = found[0] if found is not None and agreed else None
    return _decision(route, rule, out)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(
        one["type"] == other["type"]
        and IPv4Network(one["destination"]) == IPv4Network(other["destination"])
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
    node: dict[str, Any], question: dict[str, Any], vrf_table: int | None
) -> tuple[str, dict[str, Any] | None] | None:
    """The first rule that leads somewhere, and the route; None for the route of a rule's refusal.

    None where no rule does.
    """
    routes = node["routes"].get(question["destination"], ())
    for rule in node["rules"]:
        if _matches(rule, question, vrf_table) == rule["inverted"]:
            continue
        if rule["action"] in {"blackhole", "unreachable", "prohibit"}:
            refusal = {"destination": None, "table": None, "hops": (), "protocol": None}
            return rule_text(rule), {"type": rule["action"]} | refusal
        table = vrf_table if rule["l3mdev"] else rule["table"]
        inside = [r for r in routes if r["table"] == table]
        best = max(inside, key=lambda r: (_length(r), -r["metric"]), default=None)
        if best is None or best["type"] == "throw":
            continue
        return rule_text(rule), best
    return None


def _length(route: dict[str, Any]) -> int:
    return IPv4Network(route["destination"]).prefixlen


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
    return prefix is None or IPv4Address(address) in IPv4Network(prefix)


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
