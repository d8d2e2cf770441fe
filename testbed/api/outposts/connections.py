"""Connections: what an Outposts server is installed with, its tunnels' addresses and keys.

The server tells AWS its public key for each of its two tunnels and learns AWS's (facts: N4,
botocore). From then on the anchor answers that key and no other.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from testbed.api.errors import ApiError
from testbed.api.operations import Ask, Result, Work, changes, edit, looks, returning
from testbed.api.outposts.assets import asset_id
from testbed.api.outposts.outposts import SERVICE
from testbed.api.world import World
from testbed.lower.rack import inner
from testbed.lower.rack.service_link import anchor_key, known_key, public_key
from testbed.topology import editing
from testbed.topology.model import Server


def _server(world: World, asset: str) -> Server:
    """Return the server that is an asset."""
    for server in world.topology.servers.values():
        if asset_id(server, 1) == asset:
            return server
    raise ApiError("NotFoundException", f"Asset {asset} is not an Outposts server", 404)


def _identify(server: Server, index: int) -> str:
    """Return the identifier of a connection, from which it is found again."""
    return base64.b64encode(json.dumps([server.name, index]).encode()).decode()


@changes("StartConnection", SERVICE)
def start_connection(ask: Ask) -> Work:
    """Tell AWS the public key of a server's end of a tunnel."""
    server, index = _server(ask.world, ask["AssetId"]), int(ask["NetworkInterfaceDeviceIndex"])
    if index not in (0, 1):
        message = "NetworkInterfaceDeviceIndex must be 0 or 1"
        raise ApiError("ValidationException", message)
    key = f"tunnel{index + 1}_public_key"
    change = editing.modify_service_link(outpost=server.name, **{key: ask["ClientPublicKey"]})
    anchor = ask.world.topology.anchors(server)[index]
    result = {"ConnectionId": _identify(server, index), "UnderlayIpAddress": str(anchor.address)}
    return Work(change=edit(change), answer=returning(result))


@looks("GetConnection", SERVICE)
def get_connection(ask: Ask) -> Result:
    """Return what a server needs to bring one of its tunnels up."""
    given = ask["ConnectionId"]
    try:
        name, index = json.loads(base64.b64decode(given, validate=True))
        server = ask.world.topology.servers[name]
        anchor = ask.world.topology.anchors(server)[index]
    except (ValueError, TypeError, LookupError):
        raise ApiError("NotFoundException", f"Connection {given} not found", 404) from None
    far = inner.tunnel_anchor(index)
    details: dict[str, Any] = {
        "ClientPublicKey": known_key(server, index),
        "ServerPublicKey": public_key(anchor_key(ask.world.topology, None, anchor)),
        "ServerEndpoint": f"{anchor.address}:{inner.SERVICE_LINK_PORT}",
        "ClientTunnelAddress": str(inner.tunnel_outpost(server, index)),
        "ServerTunnelAddress": str(far),
        "AllowedIps": [f"{far.ip}/32", f"{inner.FABRIC_ENDPOINT}/32"],
    }
    return {"ConnectionId": given, "ConnectionDetails": details}
