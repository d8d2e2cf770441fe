"""Virtual interfaces of racks: AWS's, and those that customers of second-generation racks make."""

from __future__ import annotations

from typing import Any, Literal

from testbed.errors import Path
from testbed.plan.json_diff import lookup
from testbed.topology.editing.change import EditError, operation
from testbed.topology.editing.kinds import OUTPOST, ROUTING_DOMAIN
from testbed.topology.editing.named import change, require
from testbed.topology.editing.tree import Data
from testbed.topology.form_factors import RACKS

Group = Literal["service_link", "local_gateway"]
MISSING = "InvalidLocalGatewayVirtualInterfaceID.NotFound"
TAKEN = "InvalidParameterValue"


@operation
def modify_virtual_interface(
    data: Data,
    *,
    outpost: str,
    group: Group,
    device: int | None = None,
    lag: int | None = None,
    routing_domain: str | None = None,
    vlan: int | None = None,
    local_address: str | None = None,
    peer_address: str | None = None,
    local_bgp_asn: int | None = None,
    peer_bgp_asn: int | None = None,
) -> Data:
    """Set values of the virtual interface of a networking device or LAG; the rest is unchanged."""
    given = {
        "vlan": vlan,
        "local_address": local_address,
        "peer_address": peer_address,
        "local_bgp_asn": local_bgp_asn,
        "peer_bgp_asn": peer_bgp_asn,
    }
    path = _group(data, outpost, group, routing_domain)
    entry, others = _vif(data, outpost, path, device, lag)
    entry |= {key: value for key, value in given.items() if value is not None}
    return _with_vifs(data, outpost, path, [*others, entry])


@operation
def reset_virtual_interface(
    data: Data,
    *,
    outpost: str,
    group: Group,
    device: int | None = None,
    lag: int | None = None,
    routing_domain: str | None = None,
) -> Data:
    """Reset a virtual interface to the values that are derived."""
    path = _group(data, outpost, group, routing_domain)
    entry, others = _vif(data, outpost, path, device, lag)
    same = {key: value for key, value in entry.items() if key in {"device", "lag"}}
    kept = [same] if _customers(data, outpost, path) else []
    return _with_vifs(data, outpost, path, [*others, *kept])


@operation
def create_local_gateway_virtual_interface(
    data: Data,
    *,
    outpost: str,
    lag: int,
    routing_domain: str | None = None,
    vlan: int | None = None,
    local_address: str | None = None,
    peer_address: str | None = None,
    peer_bgp_asn: int | None = None,
) -> Data:
    """Create a virtual interface of a second-generation rack's local gateway on a LAG."""
    path = _own(data, outpost, routing_domain)
    if not isinstance(lag, int):
        message = f"{lag} is not the number of a LAG"
        raise EditError("InvalidParameterValue", message, (*OUTPOST.path(outpost), *path))
    vifs = _vifs(data, outpost, path)
    if any(vif.get("lag", vif.get("device")) == lag for vif in vifs):
        message = f"LAG {lag} of {outpost} already has a virtual interface of that group"
        raise EditError(TAKEN, message, (*OUTPOST.path(outpost), *path, "vifs"))
    given = {
        "lag": lag,
        "vlan": vlan,
        "local_address": local_address,
        "peer_address": peer_address,
        "peer_bgp_asn": peer_bgp_asn,
    }
    made = {key: value for key, value in given.items() if value is not None}
    return _with_vifs(data, outpost, path, [*vifs, made])


@operation
def delete_local_gateway_virtual_interface(
    data: Data, *, outpost: str, lag: int, routing_domain: str | None = None
) -> Data:
    """Delete a virtual interface of a second-generation rack's local gateway, with its session."""
    path = _own(data, outpost, routing_domain)
    vifs = _vifs(data, outpost, path)
    left = [vif for vif in vifs if vif.get("lag", vif.get("device")) != lag]
    if len(left) == len(vifs):
        message = f"LAG {lag} of {outpost} has no virtual interface of that group"
        raise EditError(MISSING, message, (*OUTPOST.path(outpost), *path, "vifs"))
    return _with_vifs(data, outpost, path, left)


def _group(data: Data, outpost: str, group: str, domain: str | None) -> Path:
    """Return where an Outpost has the virtual interfaces of a group."""
    if domain is None:
        require(data, OUTPOST, outpost)
        return (group,)
    require(data, ROUTING_DOMAIN, outpost, domain)
    return ("local_gateway", "routing_domains", domain)


def _own(data: Data, outpost: str, domain: str | None) -> Path:
    """Return where a group of virtual interfaces is that the customer makes."""
    path = _group(data, outpost, "local_gateway", domain)
    if not _customers(data, outpost, path):
        message = f"AWS makes the virtual interfaces of {outpost}, a first-generation rack"
        raise EditError("UnsupportedOperation", message, OUTPOST.path(outpost))
    return path


def _customers(data: Data, outpost: str, path: Path) -> bool:
    """Whether the customer makes the virtual interfaces of a group."""
    shape = RACKS.get(require(data, OUTPOST, outpost).get("form_factor", "rack"))
    return shape is not None and shape.customer_vifs and path[0] == "local_gateway"


def _vifs(data: Data, outpost: str, path: Path) -> list[Data]:
    """Return the VIFs of a group: those that the document has, else what it means by none."""
    given = lookup(data, (*OUTPOST.path(outpost), *path, "vifs"))
    if given is not None or not _customers(data, outpost, path):
        return [dict(vif) for vif in given or []]
    entry = require(data, OUTPOST, outpost)
    lags = RACKS[entry["form_factor"]].lags(entry.get("compute_racks", 1))
    return [{"lag": number} for number in range(1, lags + 1)]


def _vif(
    data: Data, outpost: str, path: Path, device: int | None, lag: int | None
) -> tuple[Data, list[Any]]:
    """Return what the document says of a VIF, and of the other ones of its group."""
    own = {key: value for key, value in (("device", device), ("lag", lag)) if value is not None}
    if not own:
        message = "A virtual interface has a device or a LAG"
        raise EditError("MissingParameter", message, (*OUTPOST.path(outpost), *path))
    vifs = _vifs(data, outpost, path)
    mine = [vif for vif in vifs if all(vif.get(key) == own[key] for key in own)]
    return (dict(mine[0]) if mine else own), [vif for vif in vifs if vif not in mine]


def _with_vifs(data: Data, outpost: str, path: Path, vifs: list[Data]) -> Data:
    """Store a group's VIFs; what means the same as none written down is left out."""
    ordered = sorted(vifs, key=lambda vif: int(vif.get("lag") or vif["device"]))
    bare = change(data, OUTPOST, (outpost,), {(*path, "vifs"): None})
    implied = _customers(data, outpost, path) and ordered == _vifs(bare, outpost, path)
    written = None if implied or not (ordered or _customers(data, outpost, path)) else ordered
    return change(data, OUTPOST, (outpost,), {(*path, "vifs"): written})
