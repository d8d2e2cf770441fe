"""Random VPCs on a fixed pair of Outposts and a fixed site, as topology files' data."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Data = dict[str, Any]

OUTPOSTS = ("op-a", "op-b")
PLACES = (*OUTPOSTS, None)
OFFICE = "192.168.10.0/24"
ANYWHERE = "0.0.0.0/0"
PORTS = {"tcp": 80, "udp": 7}
PROTOCOLS = ("tcp", "udp", "icmp", "all")
POOLS = {"op-a": "203.0.113.0/26", "op-b": "203.0.113.64/26"}


@st.composite
def topologies(draw: st.DrawFn) -> Data:
    """A topology: up to three VPCs with subnets on both Outposts and in the Region."""
    modes = {op: draw(st.sampled_from(("direct-vpc-routing", "coip"))) for op in OUTPOSTS}
    count = draw(st.integers(1, 3))
    names = [f"vpc{number}" for number in range(1, count + 1)]
    # Two VPCs with the same CIDR block can both be behind a local gateway only by CoIPs.
    overlap = count > 1 and set(modes.values()) == {"coip"} and draw(st.booleans())
    second = {name: 1 if overlap and name == "vpc2" else int(name[-1]) for name in names}
    peerings = _peerings(draw, names, second)
    vpcs: Data = {}
    instances: Data = {}
    for name in names:
        vpcs[name] = _vpc(draw, name, second, peerings)
        for subnet in vpcs[name]["subnets"]:
            for number in range(draw(st.integers(1, 2))):
                instances[f"{name}-{subnet}-{number}"] = _instance(
                    draw, vpcs[name], name, subnet, number
                )
    outposts: Data = {}
    for outpost, devices in zip(OUTPOSTS, (["cnd1", "cnd2"], ["cnd3", "cnd4"]), strict=True):
        associated = draw(st.sets(st.sampled_from(names)))
        needed = {v for v in names if _uses_gateway(vpcs[v], outpost)}
        gateway: Data = {"mode": modes[outpost], "vpcs": sorted(associated | needed)}
        if modes[outpost] == "coip":
            gateway["coip_pools"] = {f"pool-{outpost}": {"cidrs": [POOLS[outpost]]}}
            _give_coips(draw, outpost, gateway["vpcs"], vpcs, instances)
        outposts[outpost] = {"devices": devices, "local_gateway": gateway}
    region: Data = {"name": "us-west-2", "zones": ["us-west-2a"]}
    connections: Data = {}
    own_way: Data = {}
    if not overlap:
        _reach_out(draw, vpcs, instances, region, connections)
        if draw(st.booleans()):  # its default route is what local gateways learn
            own_way["internet"] = {"devices": [draw(st.sampled_from(("cnd1", "cnd3")))]}
    if peerings:
        region["vpc_peering_connections"] = {
            f"pcx-{a}-{b}": {"requester": a, "accepter": b} for a, b in peerings
        }
    return {
        "testbed": 1,
        "name": "differential",
        "region": region,
        "vpcs": vpcs,
        "outposts": outposts,
        "site": {
            "devices": {f"cnd{number}": {} for number in range(1, 5)},
            "region_link": {"delay": "1ms"},
            "wan": {"delay": "1ms"},
            "direct_connect": connections,
            **own_way,
            "segments": {"office": {"cidr": OFFICE, "devices": ["cnd1", "cnd2"]}},
            "hosts": {
                "desk": {
                    "segment": "office",
                    "address": "192.168.10.10",
                    "services": ["http", "echo"],
                }
            },
        },
        "instances": instances,
    }


def _reach_out(
    draw: st.DrawFn, vpcs: Data, instances: Data, region: Data, connections: Data
) -> None:
    """Give VPCs ways through the Region: to the internet, each other and the customer."""
    region["elastic_ip_cidr"] = "203.0.113.128/25"
    region["internet"] = {"hosts": {"www": {"services": ["http", "echo"]}}}
    attached = []
    for name, vpc in vpcs.items():
        own = [instance for key, instance in instances.items() if key.startswith(f"{name}-")]
        targets = _add_gateways(draw, name, vpc, own)
        if "hub.transit-gateway" in targets:
            attached.append(name)
        for table in vpc["route_tables"].values():
            _add_routes(draw, table, vpcs, name, targets)
    if attached:
        region["transit_gateways"] = {"hub": _transit_gateway(draw, vpcs, attached, connections)}
    elif draw(st.booleans()):
        vpc = vpcs["vpc1"]
        vpc["virtual_private_gateway"] = {"asn": 64901}
        vif = {"virtual_private_gateway": "vpc1"}
        connections["dx"] = {"device": "cnd1", "private_vif": vif}
        for table in vpc["route_tables"].values():
            table["propagate"] = draw(st.booleans())


def _add_gateways(draw: st.DrawFn, name: str, vpc: Data, instances: list[Data]) -> list[str]:
    """Give a VPC some gateways; what its routes may lead to."""
    here = [key for key, subnet in vpc["subnets"].items() if "outpost" not in subnet]
    targets = []
    if draw(st.booleans()):
        vpc["internet_gateway"] = True
        targets.append("internet-gateway")
        for instance in instances:
            if draw(st.integers(0, 2)) == 0:
                instance["elastic_ip"] = "auto"
        if bool(here) and draw(st.booleans()):
            vpc["nat_gateways"] = {f"nat-{name}": {"subnet": here[0]}}
            targets.append(f"nat-{name}.nat-gateway")
    if bool(here) and draw(st.booleans()):
        targets.append("hub.transit-gateway")
    return targets


def _add_routes(draw: st.DrawFn, table: Data, vpcs: Data, own: str, targets: list[str]) -> None:
    taken = {route["destination"] for route in table["routes"]}
    choices = [ANYWHERE, OFFICE, "10.0.0.0/8", "192.0.2.0/24"]
    choices += [vpc["cidr"] for name, vpc in vpcs.items() if name != own]
    for destination in draw(st.lists(st.sampled_from(choices), max_size=3, unique=True)):
        target = draw(st.sampled_from(targets)) if targets else None
        own_subnet = target and target.endswith("nat-gateway") and "s20" in table["subnets"]
        if target and destination not in taken and not own_subnet:
            table["routes"].append({"destination": destination, "target": target})


def _transit_gateway(draw: st.DrawFn, vpcs: Data, attached: list[str], connections: Data) -> Data:
    names = [f"to-{name}" for name in attached]
    attachments: Data = {f"to-{name}": {"vpc": name} for name in attached}
    if draw(st.booleans()):
        connections["dx"] = {"device": "cnd1", "transit_vif": {"transit_gateway": "hub"}}
        names.append("dx")
    tables: Data = {}
    left = list(names)
    for number in range(2):
        mine = [name for name in left if draw(st.booleans())]
        left = [name for name in left if name not in mine]
        routes = [
            {"destination": destination, **({"attachment": to} if to else {})}
            for destination in draw(
                st.lists(
                    st.sampled_from([*(vpcs[name]["cidr"] for name in attached), "10.2.20.0/24"]),
                    max_size=1,
                )
            )
            for to in [draw(st.sampled_from([None, *(n for n in names if n != "dx")]))]
        ]
        learns = sorted(draw(st.sets(st.sampled_from(names))))
        tables[f"rt{number}"] = {"associations": mine, "propagations": learns, "routes": routes}
    return {"attachments": attachments, "route_tables": tables}


def _peerings(draw: st.DrawFn, names: list[str], second: dict[str, int]) -> list[tuple[str, str]]:
    pairs = [(a, b) for a in names for b in names if a < b and second[a] != second[b]]
    return [pair for pair in pairs if draw(st.booleans())]


def _uses_gateway(vpc: Data, outpost: str) -> bool:
    return any(
        route["target"] == f"{outpost}.local-gateway"
        for table in vpc["route_tables"].values()
        for route in table["routes"]
    )


def _vpc(
    draw: st.DrawFn, name: str, second: dict[str, int], peerings: list[tuple[str, str]]
) -> Data:
    base = f"10.{second[name]}"
    groups = _groups(draw, base)
    acls = {"strict": _acl(draw, base)}
    subnets: Data = {}
    for number, place in enumerate(PLACES):
        for half in range(draw(st.integers(0, 2))):
            subnet: Data = {"cidr": f"{base}.{10 * number + half}.0/24"}
            if place:
                subnet["outpost"] = place
            if draw(st.integers(0, 3)) == 0:
                subnet["network_acl"] = "strict"
            subnets[f"s{number}{half}"] = subnet
    if not subnets:
        subnets["s00"] = {"cidr": f"{base}.0.0/24", "outpost": "op-a"}
    tables = {
        f"t-{subnet}": {
            "subnets": [subnet],
            "routes": _routes(draw, name, second, subnets, subnet, peerings),
        }
        for subnet in subnets
        if draw(st.integers(0, 4))
    }
    return {
        "cidr": f"{base}.0.0/16",
        "subnets": subnets,
        "route_tables": tables,
        "security_groups": groups,
        "network_acls": acls,
    }


def _routes(
    draw: st.DrawFn,
    name: str,
    second: dict[str, int],
    subnets: Data,
    subnet: str,
    peerings: list[tuple[str, str]],
) -> list[Data]:
    place = subnets[subnet].get("outpost")
    routes: dict[str, str] = {}
    for a, b in peerings:
        if name in (a, b) and draw(st.booleans()):
            other = b if name == a else a
            routes[f"10.{second[other]}.0.0/16"] = f"pcx-{a}-{b}.vpc-peering-connection"
    if place:
        gateway = f"{place}.local-gateway"
        choices = [ANYWHERE, OFFICE, POOLS["op-a"], POOLS["op-b"]]
        choices += [
            row["cidr"] for row in subnets.values() if row.get("outpost") not in (None, place)
        ]
        choices += [
            f"10.{second[other]}.0.0/16" for other in second if second[other] != second[name]
        ]
        for destination in draw(st.lists(st.sampled_from(choices), max_size=4, unique=True)):
            routes.setdefault(destination, gateway)
    return [{"destination": d, "target": t} for d, t in routes.items()]


def _peers(base: str) -> list[str]:
    return [
        ANYWHERE,
        OFFICE,
        f"{base}.0.0/16",
        f"{base}.0.0/24",
        f"{base}.20.0/23",
        "10.0.0.0/8",
        POOLS["op-a"],
    ]


def _groups(draw: st.DrawFn, base: str) -> Data:
    names = ("web", "db", "open")
    peers = st.sampled_from([*_peers(base), *names])

    def rules(key: str) -> list[Data]:
        found: list[Data] = []
        for _ in range(draw(st.integers(0, 3))):
            rule = {**_match(draw), key: draw(peers)}
            if rule not in found:
                found.append(rule)
        return found

    groups: Data = {n: {"ingress": rules("source"), "egress": rules("destination")} for n in names}
    groups["open"] = {
        "ingress": [{"protocol": "all", "source": ANYWHERE}],
        "egress": [{"protocol": "all", "destination": ANYWHERE}],
    }
    return groups


def _match(draw: st.DrawFn) -> Data:
    protocol = draw(st.sampled_from(PROTOCOLS))
    match: Data = {"protocol": protocol}
    if protocol in PORTS:
        match["ports"] = draw(
            st.sampled_from((str(PORTS[protocol]), "1-1023", "1024-65535", "0-65535"))
        )
    return match


def _acl(draw: st.DrawFn, base: str) -> Data:
    def rules() -> list[Data]:
        return [
            {
                "rule": 100 * (number + 1),
                **_match(draw),
                "cidr": draw(st.sampled_from(_peers(base))),
                "action": draw(st.sampled_from(("allow", "allow", "deny"))),
            }
            for number in range(draw(st.integers(0, 4)))
        ]

    return {"ingress": rules(), "egress": rules()}


def _instance(draw: st.DrawFn, vpc: Data, name: str, subnet: str, number: int) -> Data:
    prefix = vpc["subnets"][subnet]["cidr"].rpartition(".")[0]
    groups = draw(
        st.sampled_from((["open"], ["open"], ["web"], ["db"], ["web", "db"], ["web", "open"]))
    )
    return {
        "subnet": f"{name}/{subnet}",
        "address": f"{prefix}.{10 + number}",
        "security_groups": groups,
        "services": ["http", "echo"],
    }


def _give_coips(
    draw: st.DrawFn, outpost: str, associated: list[str], vpcs: Data, instances: Data
) -> None:
    first = POOLS[outpost].rpartition(".")[0]
    number = 2 if outpost == "op-a" else 66
    for instance in instances.values():
        vpc, subnet = instance["subnet"].split("/")
        here = vpcs[vpc]["subnets"][subnet].get("outpost") == outpost
        if here and vpc in associated and draw(st.integers(0, 2)):
            instance["customer_owned_ip"] = f"{first}.{number}"
            number += 1
