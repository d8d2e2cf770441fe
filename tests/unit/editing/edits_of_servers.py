"""Outposts servers and local network interfaces: changes, and those that take them back."""

from __future__ import annotations

from typing import Any

from testbed.topology import editing as edit
from testbed.topology.editing import Change, together

KEY = "NFXtCRNBvRDdPGxTJLLZ4xJTYTWcqC41KBX/x9jmjUo="
OTHER_KEY = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
PORT: dict[str, Any] = {
    "speed": "1G",
    "auto_negotiation": True,
    "cable": "other",
    "mode": "trunk",
    "max_macs": 4,
}
SERVER = together(
    edit.add_site_segment(
        segment="shop", cidr="192.168.77.0/24", devices=["cnd1"], vlan=77, dhcp={}
    ),
    edit.add_site_segment(segment="plant", cidr="192.168.78.0/24", devices=["cnd1"], vlan=78),
    edit.create_outpost(
        outpost="srv",
        form_factor="server",
        service_link={
            "segment": "shop",
            "address": "192.168.77.20",
            "dhcp": False,
            "gateway": "192.168.77.2",
            "name_servers": ["198.51.100.2"],
            "key": "wrong",
            "tunnel1_public_key": KEY,
            "tunnel2_public_key": OTHER_KEY,
            "switch_port": PORT,
        },
        local_network_interface={"segment": "shop", "tagged": ["plant"], "switch_port": PORT},
    ),
    edit.create_subnet(vpc="idle", subnet="srv", cidr_block="10.4.1.0/24", outpost="srv"),
    edit.modify_subnet_lni(vpc="idle", subnet="srv", enable_lni_at_device_index=2),
    edit.run_instances(instances=["pos"], subnet="srv", ami_snapshots=1),
    edit.create_network_interface(network_interface="pos-lan", subnet="srv"),
    edit.attach_network_interface(network_interface="pos-lan", instance="pos", device_index=2),
    edit.modify_local_network_interface(
        network_interface="pos-lan",
        local=True,
        lan=[
            {"default_route": "none", "routes": ["192.168.10.0/24"]},
            {"vlan": 78, "address": "192.168.78.9/24", "gateway": "192.168.78.2"},
        ],
    ),
    edit.create_layer2_service(
        service="till", address="192.168.78.20", nodes=["pos"], heartbeats="vpc"
    ),
)
NOTHING = together(
    edit.delete_layer2_service(service="till"),
    edit.modify_local_network_interface(network_interface="pos-lan"),
    edit.detach_network_interface(network_interface="pos-lan"),
    edit.delete_network_interface(network_interface="pos-lan"),
    edit.terminate_instances(instances=["pos"]),
    edit.modify_subnet_lni(vpc="idle", subnet="srv"),
    edit.delete_subnet(vpc="idle", subnet="srv"),
    edit.delete_outpost(outpost="srv"),
    edit.remove_site_segment(segment="plant"),
    edit.remove_site_segment(segment="shop"),
)
ROUND_TRIPS: list[tuple[Change, Change]] = [(SERVER, NOTHING)]
