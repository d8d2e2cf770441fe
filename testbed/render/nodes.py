"""A node as its plan says beside what the kernel has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from testbed.render import words
from testbed.render.style import rows_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from testbed.plan.model import Interface, Node, Route

KERNEL_TABLES = {"main": 254, "local": 255, "default": 253}
OK = Text("as planned", style="green")


def node_tables(node: Node, actual: dict[str, Any]) -> Iterator[Table]:
    """Interfaces, routes, rules and processes of a node."""
    yield rows_table(
        "Interfaces",
        ("interface", "what", "addresses", "mtu", "state", "compared with the plan"),
        _interfaces(node, actual["interfaces"]),
    )
    yield rows_table(
        "Routes", ("route", "from", "compared with the plan"), _routes(node, actual["routes"])
    )
    if node.rules or len(actual["rules"]) > len(KERNEL_TABLES):
        rules = ([_rule_text(entry)] for entry in actual["rules"])
        yield rows_table("Rules", ("rule",), rules)
    if actual["processes"]:
        rows = (
            [p["name"], p.get("pid"), Text(str(p.get("state")), style=_style(ok=p.get("ok")))]
            for p in actual["processes"]
        )
        yield rows_table("Processes", ("process", "pid", "state"), rows)


def _style(*, ok: object) -> str:
    return "green" if ok else "bold red"


def _interfaces(node: Node, links: list[dict[str, Any]]) -> Iterator[list[Any]]:
    found = {link["ifname"]: link for link in links}
    for interface in node.interfaces:
        link = found.pop(interface.name, None)
        what = words.device(interface.device)
        if link is None:
            missing = Text("missing", style="bold red")
            yield [interface.name, what, interface.addresses, interface.mtu, "", missing]
            continue
        differences = interface_differences(interface, link)
        compared = Text("; ".join(differences), style="bold red") if differences else OK
        yield [interface.name, what, _addresses(link), link.get("mtu"), _state(link), compared]
    for name, link in found.items():
        if name == "lo" or ("UP" not in link.get("flags", []) and not link.get("addr_info")):
            continue  # the kernel's own, such as tunl0 in every namespace
        kind = link.get("linkinfo", {}).get("info_kind", link.get("link_type", ""))
        yield [name, kind, _addresses(link), link.get("mtu"), _state(link), "not in the plan"]


def _state(link: dict[str, Any]) -> Text:
    state = str(link.get("operstate", "")).lower()
    up = "LOWER_UP" in link.get("flags", [])
    return Text("up" if up and state == "unknown" else state, style=_style(ok=up))


def _addresses(link: dict[str, Any]) -> list[str]:
    return [
        f"{entry['local']}/{entry['prefixlen']}"
        for entry in link.get("addr_info", ())
        if entry.get("family") == "inet"
    ]


def interface_differences(interface: Interface, link: dict[str, Any]) -> list[str]:
    """How an interface, as ip(8) shows it, differs from its plan."""
    found = []
    have = set(_addresses(link))
    if lacking := [address for address in interface.addresses if address not in have]:
        found.append(f"lacks {', '.join(lacking)}")
    extra = have - set(interface.addresses) - {"127.0.0.1/8"}
    if extra:
        found.append(f"has {', '.join(sorted(extra))}")
    if interface.mtu and link.get("mtu") != interface.mtu:
        found.append(f"mtu {link.get('mtu')} instead of {interface.mtu}")
    if interface.mac and link.get("address") != interface.mac and not _is_member(link):
        found.append(f"mac {link.get('address')} instead of {interface.mac}")
    if interface.master != link.get("master"):
        found.append(f"master {link.get('master')} instead of {interface.master}")
    if interface.up != ("UP" in link.get("flags", [])):
        found.append("set down" if interface.up else "set up")
    return found


def _is_member(link: dict[str, Any]) -> bool:
    """A bond gives its own MAC address to its members."""
    return bool(link.get("linkinfo", {}).get("info_slave_kind") == "bond")


def _routes(node: Node, routes: list[dict[str, Any]]) -> Iterator[list[Any]]:
    wanted = {_planned_key(route): route for route in node.routes}
    for route in routes:
        table = route.get("table", "main")
        if table == "local" or route.get("type") in {"local", "broadcast"}:
            continue
        planned = wanted.pop(_kernel_key(route), None)
        yield [_route_text(route), route.get("protocol", ""), OK if planned else ""]
    for missing in wanted.values():
        yield [words.route(missing), "plan", Text("missing", style="bold red")]


def _planned_key(route: Route) -> tuple[str, int]:
    return route.destination.removesuffix("/32"), route.table


def _kernel_key(route: dict[str, Any]) -> tuple[str, int]:
    destination = "0.0.0.0/0" if route["dst"] == "default" else route["dst"]
    table = route.get("table", "main")
    number = KERNEL_TABLES.get(table) or (int(table) if str(table).isdigit() else 0)
    return destination, number


def _route_text(route: dict[str, Any]) -> str:
    kind = route.get("type", "unicast")
    parts = [route["dst"]] if kind == "unicast" else [kind, route["dst"]]
    parts += [f"via {route['gateway']}"] if "gateway" in route else []
    parts += [f"dev {route['dev']}"] if "dev" in route else []
    for hop in route.get("nexthops", ()):
        via = f" via {hop['gateway']}" if "gateway" in hop else ""
        parts.append(f"nexthop{via} dev {hop.get('dev')}")
    parts += [f"src {route['prefsrc']}"] if "prefsrc" in route else []
    parts += [f"metric {route['metric']}"] if "metric" in route else []
    if route.get("table", "main") != "main":
        parts.append(f"table {route['table']}")
    return " ".join(parts)


def _rule_text(rule: dict[str, Any]) -> str:
    source = rule.get("src", "all")
    parts = [f"{rule.get('priority')}:", f"from {source}"]
    parts += [f"{key} {rule[key]}" for key in ("dst", "iif", "fwmark") if key in rule]
    if "l3mdev" in rule:
        parts.append("lookup the VRF's table")
    elif "table" in rule:
        parts.append(f"lookup {rule['table']}")
    parts += [str(rule["action"])] if "action" in rule else []
    return " ".join(parts)
