"""Rulesets that are changed piece by piece are what they would be if loaded anew."""

from __future__ import annotations

import os
import re
from random import Random

import pytest

from testbed.errors import HostError
from testbed.kernel import namespace, nftables, rulesets

pytestmark = [
    pytest.mark.packets,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]
FAMILIES = ("inet", "ip")
COUNTERS = re.compile(r"counter packets \d+ bytes \d+")


def a_set(random: Random, name: str) -> list[str]:
    """A hash of ports, a map to marks, an interval set of blocks, or one of packet kinds."""
    kind = name.partition("_")[0]
    numbers = sorted(random.sample(range(1, 9), random.randint(0, 6)))
    heads, elements = {
        "ports": ("type ifname", [f'"eni-{n}"' for n in numbers]),
        "marks": ("type ifname : mark", [f'"eni-{n}" : {random.randint(1, 3)}' for n in numbers]),
        "blocks": (
            "type ipv4_addr; flags interval",
            [f"10.{n}.0.0/{random.choice((15, 16, 24)) if n % 2 == 0 else 16}" for n in numbers],
        ),
        "kinds": (
            "type inet_proto . inet_service . ipv4_addr; flags interval",
            [f"6 . {n}-{n + random.randint(0, 0)} . 10.{n}.0.0/16" for n in numbers],
        ),
    }[kind]
    if kind == "blocks":  # two that overlap would be refused
        elements = [
            e for e in elements if not e.endswith("/15") or int(e.split(".")[1]) + 1 not in numbers
        ]
    word = "map" if kind == "marks" else "set"
    rows = [f"elements = {{ {', '.join(elements)} }}"] if elements else [""]
    return [f"  {word} {name} {{", f"    {heads}", *(f"    {row}" for row in rows), "  }"]


def a_ruleset(random: Random) -> str:
    """A ruleset of the form that the testbed writes."""
    lines = [f"# number {random.random()}"]
    for family in random.sample(FAMILIES, random.randint(0, 2)):
        lines.append(f"table {family} {random.choice(('vpc', 'vpc', 'other'))} {{")
        names = ("c0", "c1", "ports_0", "kinds_1")  # a chain may be called as a set is
        chains = [name for name in names if random.random() < 0.7]
        sets = [
            f"{kind}_{n}"
            for kind in ("ports", "marks", "blocks", "kinds")
            for n in range(2)
            if random.random() < 0.7
        ]
        for name in sets:
            lines += a_set(random, name)
        if chains:
            pairs = [f'"eni-{n}" : jump {random.choice(chains)}' for n in range(3)]
            taken = random.sample(pairs, random.randint(1, 3))
            lines += ["  map verdicts {", "    type ifname : verdict"]
            lines += [f"    elements = {{ {', '.join(taken)} }}", "  }"]
        for name in chains:
            lines += [f"  chain {name} {{", *(f"    {rule}" for rule in rules(random, sets)), "  }"]
        policy = random.choice(("accept", "accept", "drop"))
        lines += [
            "  chain forward {",
            f"    type filter hook forward priority filter; policy {policy};",
        ]
        if chains:
            lines.append("    iifname vmap @verdicts")
        lines += [f"    {rule}" for rule in rules(random, sets)]
        lines += ["  }", "}"]
    return "\n".join([*lines, ""])


def rules(random: Random, sets: list[str]) -> list[str]:
    """Some rules that look things up in sets."""
    selectors = {
        "ports": "iifname @{} accept",
        "marks": "meta mark set iifname map @{}",
        "blocks": "ip saddr @{} counter drop",
        "kinds": "ip protocol . th dport . ip saddr @{} return",
    }
    found = [selectors[name.partition("_")[0]].format(name) for name in sets]
    found += ["ip saddr { 10.0.0.1, 10.0.0.2 } accept", 'counter drop comment "no way, at all"']
    return random.sample(found, random.randint(0, len(found)))


def listed() -> list[str]:
    """The namespace's ruleset, object by object, in no order of objects or elements."""
    objects: list[str] = []
    table = ""
    text = COUNTERS.sub("counter", nftables.run("list ruleset"))
    for block in re.split(r"\n(?=\t\w|\w|\})", text.replace(",\n", ", ")):
        body = block
        if block.startswith("table"):
            table, _, body = block.partition("\n")
        if found := re.search(r"elements = \{(.*?)\}", body, re.DOTALL):
            elements = sorted(" ".join(entry.split()) for entry in found[1].split(","))
            body = body.replace(found[0], str(elements))
        if body.strip(" \t\n}"):
            objects.append(f"{table} {body.strip()}")
    return sorted(objects)


@pytest.mark.parametrize("seed", range(4))
def test_a_change_piece_by_piece_is_what_a_whole_load_is(seed: int) -> None:
    random = Random(seed)
    before = ""
    with namespace.preserved():
        namespace.create()
        for turn in range(60):
            after = a_ruleset(random)
            if random.random() < 0.2:
                after = before
            commands = rulesets.commands(before, after)
            assert commands is not None
            try:
                nftables.run(commands)
            except ValueError as error:
                pytest.fail(f"turn {turn}: {error}\n{commands}")
            piecewise = listed()
            nftables.replace("node", after)
            assert piecewise == listed(), commands
            before = after


def test_what_is_the_same_keeps_its_state() -> None:
    def ruleset(port: int) -> str:
        return (
            "table inet filter {\n  set ports {\n    type inet_service\n"
            f"    elements = {{ {port}, 443 }}\n  }}\n"
            "  chain input {\n    type filter hook input priority filter; policy accept;\n"
            "    counter\n    tcp dport @ports accept\n  }\n}\n"
        )

    with namespace.preserved():
        namespace.create()
        nftables.replace("node", ruleset(80))
        counted = "add rule inet filter input counter packets 7 bytes 9\n"
        nftables.run(counted)
        nftables.replace("node", ruleset(81), ruleset(80))
        text = nftables.run("list ruleset")
    assert "elements = { 81, 443 }" in text
    assert "counter packets 7 bytes 9" in text


def test_what_somebody_else_has_changed_is_loaded_anew() -> None:
    before = "table inet a {\n  set s {\n    type inet_service\n    elements = { 1 }\n  }\n}\n"
    after = before.replace("{ 1 }", "{ 2 }")
    with namespace.preserved():
        namespace.create()
        nftables.run("add table ip other\n")
        nftables.replace("node", after, before)
        text = nftables.run("list ruleset")
    assert "elements = { 2 }" in text
    assert "other" not in text


def test_what_is_not_read_here_is_loaded() -> None:
    assert rulesets.commands("table ip a {\n  flowtable f {\n  }\n}\n", "") is None
    assert rulesets.commands("define x = 1\n", "") is None
    with namespace.preserved():
        namespace.create()
        with pytest.raises(HostError, match="nftables"):
            nftables.replace(
                "node", "table ip a {\n  chain c {\n    wrong\n  }\n}\n", "table ip b {\n}\n"
            )
