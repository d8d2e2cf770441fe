"""The VPCs of a healthy site: subnets on Outposts and in the Region, routes, filters, gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sites.healthy import Draft

Data = dict[str, Any]

ANYWHERE = "0.0.0.0/0"


def add(draft: Draft) -> None:
    """Add one to three VPCs, with an instance in each subnet, and what connects them."""
    names = [f"vpc{number}" for number in range(1, draft.chance.choice((1, 1, 2, 2, 3)) + 1)]
    for number, name in enumerate(names, 1):
        _vpc(draft, name, number)
    region = draft.data["region"]
    if len(names) > 1 and draft.maybe(0.4):
        region["vpc_peering_connections"] = {"peer": {"requester": "vpc1", "accepter": "vpc2"}}
        for name, cidr in (("vpc1", "10.2.0.0/16"), ("vpc2", "10.1.0.0/16")):
            _route(draft, name, cidr, "peer.vpc-peering-connection")
    elif len(names) > 1 and draft.maybe(0.4):
        _transit_gateway(draft, names)
    if draft.maybe(0.3):
        _private_zone(draft, names)
    if draft.maybe(0.2):
        _internet(draft, names[0])
    if draft.maybe(0.25) and _suits_direct_connect(draft, names[:1]):
        _virtual_private_gateway(draft, names[0])


def _vpc(draft: Draft, name: str, number: int) -> None:
    """Add a VPC with a subnet in the Region, and one on each of some Outposts of one mode.

    Of two modes they would reach each other one way only: the answer to a request from an
    untranslated address goes by the VPC's local route, and not through the Region.
    """
    base = f"10.{number}"
    subnets: Data = {"cloud-" + name: {"cidr": f"{base}.1.0/24"}}
    tables: Data = {}
    modes: set[bool] = set()
    for place, (rack, outpost) in enumerate(draft.data["outposts"].items()):
        if number > 1 and draft.maybe(0.5):
            continue
        routed = draft.maybe(0.8)
        pools = outpost["local_gateway"].get("coip_pools")
        if modes - {bool(pools)}:
            continue
        modes.add(bool(pools))
        subnet: Data = {"cidr": f"{base}.{10 + place}.0/24", "outpost": rack}
        if pools and routed:  # without a way back, requests to its addresses are one-way
            subnet["map_customer_owned_ip_on_launch"] = next(iter(pools))
        subnets[f"{rack}-{name}"] = subnet
        if routed:
            routes = [{"destination": ANYWHERE, "target": f"{rack}.local-gateway"}]
            tables[rack] = {"subnets": [f"{rack}-{name}"], "routes": routes}
    vpc: Data = {"cidr": f"{base}.0.0/16", "subnets": subnets, "route_tables": tables}
    if draft.maybe(0.3):
        vpc["security_groups"] = _groups(draft)
    if draft.maybe(0.1):
        vpc["enable_dns_support"] = False
    draft.data["vpcs"][name] = vpc
    for subnet_name in subnets:
        instance: Data = {"subnet": f"{name}/{subnet_name}", "services": ["http"]}
        draft.data["instances"][f"i-{subnet_name}"] = instance


def _suits_direct_connect(draft: Draft, vpcs: list[str]) -> bool:
    """Whether all that comes in by Direct Connect is answered, though by a local gateway.

    A local gateway would translate answers of customer-owned addresses, and one in a place that
    has no way to the other leads them astray.
    """
    subnets = (s for name in vpcs for s in draft.data["vpcs"][name]["subnets"].values())
    is_one_network = len(draft.groups) == 1 or "wan" in draft.site
    return is_one_network and not any("map_customer_owned_ip_on_launch" in s for s in subnets)


def _groups(draft: Draft) -> Data:
    """Security groups that let everybody ping, path MTU discovery and some ports through."""
    ports = draft.chance.choice(("80", "1-1023", "80-90"))
    ingress = [
        {"protocol": "icmp", "source": ANYWHERE},
        {
            "protocol": "tcp",
            "ports": ports,
            "source": draft.chance.choice((ANYWHERE, "10.0.0.0/8")),
        },
    ]
    return {"default": {"ingress": ingress}}


def _route(draft: Draft, vpc: str, destination: str, target: str) -> None:
    """Add a route to all of a VPC's tables, the main one too."""
    tables = draft.data["vpcs"][vpc]["route_tables"]
    tables.setdefault("main", {"routes": []})
    for table in tables.values():
        table.setdefault("routes", []).append({"destination": destination, "target": target})


def _transit_gateway(draft: Draft, names: list[str]) -> None:
    """A transit gateway for all VPCs, and perhaps a transit virtual interface to it."""
    attachments = {name: {"vpc": name} for name in names}
    draft.data["region"]["transit_gateways"] = {"hub": {"attachments": attachments}}
    destinations = ["10.0.0.0/8"]
    if draft.maybe(0.5) and _suits_direct_connect(draft, names):
        device = draft.chance.choice(draft.devices)
        vif = {"transit_gateway": "hub", "bfd": draft.maybe(0.5)}
        connections = draft.site.setdefault("direct_connect", {})
        connections["dx8"] = {"device": device, "transit_vif": vif}
        destinations.append("192.168.0.0/16")
    for name in names:
        for destination in destinations:
            _route(draft, name, destination, "hub.transit-gateway")


def _private_zone(draft: Draft, names: list[str]) -> None:
    with_dns = [n for n in names if draft.data["vpcs"][n].get("enable_dns_support", True)]
    if with_dns:
        records = [{"name": "db", "values": ["10.1.1.4"]}]
        records.append({"name": "www", "type": "CNAME", "values": ["db.corp.internal"]})
        draft.data["hosted_zones"] = {"corp.internal": {"vpcs": with_dns, "records": records}}


def _internet(draft: Draft, name: str) -> None:
    """An internet gateway, a NAT gateway for what is on no local gateway, and a host outside."""
    vpc = draft.data["vpcs"][name]
    draft.data["region"]["internet"] = {"hosts": {"www": {"services": ["http"]}}}
    vpc["internet_gateway"] = True
    vpc["nat_gateways"] = {"nat": {"subnet": "public"}}
    vpc["subnets"]["public"] = {"cidr": "10.1.2.0/24"}
    routes = [{"destination": ANYWHERE, "target": "internet-gateway"}]
    vpc["route_tables"]["public"] = {"subnets": ["public"], "routes": routes}
    main = vpc["route_tables"].setdefault("main", {"routes": []})
    main["routes"].append({"destination": ANYWHERE, "target": "nat.nat-gateway"})
    if draft.maybe(0.5):
        draft.site["internet"] = {"devices": [draft.chance.choice(draft.devices)]}


def _virtual_private_gateway(draft: Draft, name: str) -> None:
    """Direct Connect for the LAN beside whatever the service link uses."""
    vpc = draft.data["vpcs"][name]
    vpc["virtual_private_gateway"] = {"asn": 64901}
    main = vpc["route_tables"].setdefault("main", {"routes": []})
    main["propagate"] = True
    vif = {"virtual_private_gateway": name, "bfd": draft.maybe(0.5)}
    connection = {"device": draft.chance.choice(draft.devices), "private_vif": vif}
    draft.site.setdefault("direct_connect", {})["dx9"] = connection
