"""What an Outposts server's own commands say at its installation (N4).

The members are those of AWS's pages on them: describe-links, describe-ip, describe-resolve,
describe-reachability, start-connection and get-connection.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from testbed.errors import NetworkError

if TYPE_CHECKING:
    from testbed.control.client import Client
    from testbed.topology.model import Server, Topology

Shown = dict[str, Any]
PORT = "eth0"
KEY = re.compile(r"^[a-zA-Z0-9/+]{43}=$")  # what StartConnection takes (botocore)
CONNECT_S = 3
PEERS = ("primary", "secondary")


def node_of(server: Server) -> str:
    """Return the node of the server's service link port."""
    return f"{server.name}.sl"


def _run(client: Client, node: str, *argv: str) -> tuple[int, str, str]:
    done = client.run(node, list(argv), timeout=60.0)
    return done.returncode, done.text, done.stderr.decode(errors="replace").strip()


def describe_links(client: Client, server: Server) -> Shown:
    """Return whether the two legs of the breakout cable have a link."""
    rows = {(row["node"], row["interface"]): row for row in client.status()["links"]}
    local = rows.get((f"{server.name}.lni", "lan"), {"ok": False})
    return {
        "service_link_connected": bool(rows[node_of(server), PORT]["ok"]),
        "local_link_connected": bool(local["ok"]),
    }


def describe_ip(client: Client, server: Server) -> Shown:
    """Return the addresses of the service link port."""
    node = node_of(server)
    _, text, _ = _run(client, node, "ip", "-j", "-4", "address", "show", "dev", PORT)
    entries = [e for e in json.loads(text or "[]") if e]
    addresses = [info for entry in entries for info in entry.get("addr_info", [])]
    _, text, _ = _run(client, node, "ip", "-j", "-4", "route", "show", "default", "dev", PORT)
    gateways = [route.get("gateway") for route in json.loads(text or "[]")]
    _, text, _ = _run(client, node, "cat", "/etc/resolv.conf")
    first = addresses[0] if addresses else {}
    link = {
        "configured": bool(first),
        "ip": first.get("local"),
        "netmask": _netmask(first["prefixlen"]) if first else None,
        "gateway": next(iter(gateways), None),
        "dns": re.findall(r"^nameserver (\S+)$", text, re.MULTILINE),
    }
    return {"links": [link]}


def _netmask(length: int) -> str:
    number = (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def _endpoint(topology: Topology) -> str:
    return f"outposts.{topology.region.name}.amazonaws.com"


def describe_resolve(client: Client, topology: Topology, server: Server) -> Shown:
    """Return what the server's DNS says of the Outposts endpoint in the Region."""
    from testbed.probes.dns import resolve  # noqa: PLC0415 - dnspython is slow to import

    servers = describe_ip(client, server)["links"][0]["dns"]
    shown: Shown = {
        "dns_responding": False,
        "dns_resolving": False,
        "dns": servers,
        "query": _endpoint(topology),
        "records": [],
        "error": "" if servers else "no name server is configured",
    }
    for address in servers:
        try:
            answer = resolve(client, node_of(server), _endpoint(topology), server=address)
        except NetworkError as error:
            shown["error"] = error.message
            continue
        shown |= {"dns_responding": True, "dns_resolving": answer.ok, "records": answer.data}
        shown["error"] = "" if answer.ok else answer.rcode
        break
    return shown


def describe_reachability(client: Client, topology: Topology, server: Server) -> Shown:
    """Return whether a TCP connection to the Outposts endpoint can be opened."""
    source = describe_ip(client, server)["links"][0]["ip"]
    address = str(topology.region.outposts_address)
    script = f"exec 3<>/dev/tcp/{address}/443"
    code, _, said = _run(client, node_of(server), "timeout", str(CONNECT_S), "bash", "-c", script)
    error = said.splitlines()[-1].rpartition(": ")[2] if said else "no answer"
    return {
        "is_reachable": code == 0,
        "src": source,
        "dst": f"{address}:443",
        "error": "" if code == 0 else error,
    }


def start_connection(
    client: Client, topology: Topology, server: Server, key: str | None = None
) -> Shown:
    """Return what comes of offering AWS a public key; by default the server's own.

    Raises NetworkError, in AWS's words, where AWS refuses it.
    """
    offered = key or _keys(client, server)[0]
    if not KEY.match(offered):
        message = (
            "ValidationException: 1 validation error detected: Value at 'clientPublicKey' failed to"
            " satisfy constraint: Member must satisfy regular expression pattern:"
            f" {KEY.pattern}"
        )
        raise NetworkError(message, hint="the key is base64, 44 characters with its final =")
    reached = describe_reachability(client, topology, server)
    if not reached["is_reachable"]:
        message = f"the Outposts endpoint {reached['dst']} cannot be reached: {reached['error']}"
        raise NetworkError(message, hint="see describe-resolve and describe-reachability")
    if offered not in _known(client, topology, server):
        message = "AccessDeniedException: the key is not one that AWS has issued for this server"
        raise NetworkError(message, hint="get the key again, and authorise the server anew")
    return {
        "is_started": True,
        "asset_id": server.name,
        "underlay_ip_address": reached["src"],
    }


def _keys(client: Client, server: Server) -> list[str]:
    """The server's public keys, the primary connection's first."""
    node = node_of(server)
    shown = [_run(client, node, "wg", "show", f"wg{n}", "public-key") for n in (1, 2)]
    return [text.strip() for _, text, _ in shown]


def _known(client: Client, topology: Topology, server: Server) -> list[str]:
    """The public keys that the Region's endpoints know the server by."""
    plan, _ = client.plan()
    known = []
    for anchor in topology.region.anchors:
        device = plan.node(f"region.{anchor.name}").interface("wg0").device
        peers = getattr(device, "peers", ())
        known += [peer.public_key for peer in peers if peer.name == server.name]
    return known


def get_connection(client: Client, topology: Topology, server: Server) -> Shown:
    """Return the state of the service link's two connections."""
    rows = {
        row["interface"]: row
        for row in client.status()["tunnels"]
        if row["node"] == node_of(server)
    }
    plan, _ = client.plan()
    connections: Shown = {}
    keys = _keys(client, server)
    for index, (peer, anchor) in enumerate(zip(PEERS, topology.region.anchors, strict=False)):
        name = f"wg{index + 1}"
        row = rows.get(name, {"ok": False, "state": "not configured"})
        device = plan.node(node_of(server)).interface(name).device
        far = next(iter(getattr(device, "peers", ())), None)
        age = row.get("handshake_age_s")
        connections |= {
            f"{peer}_peer": f"{anchor.address}:443",
            f"{peer}_status": "success" if row["ok"] else row["state"],
            f"{peer}_handshake_age": age,
            f"{peer}_server_public_key": far.public_key if far else None,
            f"{peer}_client_public_key": keys[index],
            f"{peer}_server_endpoint": f"{anchor.address}:443",
        }
    established = all(connections[f"{peer}_status"] == "success" for peer in PEERS)
    exchanged = all(connections[f"{peer}_handshake_age"] is not None for peer in PEERS)
    head = {
        "keys_exchanged": exchanged,
        "connection_established": established,
        "exchange_active": not exchanged,
    }
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**head, **connections, "timestamp": stamp}
